//! Broadcasting: computing with two tensors of different shapes element by element. A dimension of size 1 is
//! repeated, as ONNX specifies.

/// The plan of one computation: which elements of the two tensors belong together.
#[derive(Debug)]
pub(super) struct Broadcast {
    /// Shape of the output.
    shape: Vec<i64>,
    /// For each axis, the step from one index to the next in the first and in the second tensor, in elements; 0 where
    /// the tensor is repeated.
    steps: Vec<(usize, usize)>,
}

impl Broadcast {
    /// Plans a computation with tensors of these shapes.
    ///
    /// # Errors
    /// The shapes cannot be broadcast together. The text names both.
    pub(super) fn new(first: &[i64], second: &[i64]) -> Result<Self, String> {
        let rank = first.len().max(second.len());
        let mut shape = vec![1; rank];
        let mut steps = vec![(0, 0); rank];
        let (mut first_step, mut second_step) = (1, 1);
        for back in 1..=rank {
            let size = |of: &[i64]| of.len().checked_sub(back).map_or(1, |axis| of[axis]);
            let (one, other) = (size(first), size(second));
            if one != other && one != 1 && other != 1 {
                return Err(format!("shapes {first:?} and {second:?} do not fit each other"));
            }
            let axis = rank - back;
            shape[axis] = if one == 1 { other } else { one };
            let step = |size: i64, step: usize| if size == 1 { 0 } else { step };
            steps[axis] = (step(one, first_step), step(other, second_step));
            first_step *= usize::try_from(one).unwrap_or(0);
            second_step *= usize::try_from(other).unwrap_or(0);
        }
        Ok(Self { shape, steps })
    }

    /// Returns the shape of the output.
    pub(super) fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// Calls `compute` with each pair of elements, and writes the results to `output`, which has as many elements as
    /// [`Self::shape`] says.
    pub(super) fn run<T: Copy>(
        &self,
        output: &mut [T],
        first: &[T],
        second: &[T],
        mut compute: impl FnMut(T, T) -> T,
    ) {
        let Some((&(by_first, by_second), outer)) = self.steps.split_last() else {
            if let ([output], [first], [second]) = (output, first, second) {
                *output = compute(*first, *second);
            }
            return;
        };
        let row = self.shape.last().map_or(1, |&size| usize::try_from(size).unwrap_or(0));
        if row == 0 {
            return;
        }
        let mut index = vec![0_i64; outer.len()];
        let (mut at_first, mut at_second) = (0, 0);
        for output in output.chunks_mut(row) {
            for (place, output) in output.iter_mut().enumerate() {
                *output = compute(first[at_first + place * by_first], second[at_second + place * by_second]);
            }
            for axis in (0..outer.len()).rev() {
                let (by_first, by_second) = outer[axis];
                index[axis] += 1;
                at_first += by_first;
                at_second += by_second;
                if index[axis] < self.shape[axis] {
                    break;
                }
                let size = usize::try_from(self.shape[axis]).unwrap_or(0);
                index[axis] = 0;
                at_first -= size * by_first;
                at_second -= size * by_second;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(first: &[i64], second: &[i64]) -> (Vec<i64>, Vec<(u32, u32)>) {
        let count = |shape: &[i64]| shape.iter().product::<i64>() as u32;
        let plan = Broadcast::new(first, second).unwrap();
        let elements = |shape: &[i64], by: u32| (0..count(shape)).map(|index| index * by).collect::<Vec<_>>();
        let mut output = vec![0; count(plan.shape()) as usize];
        let (first, second) = (elements(first, 1), elements(second, 1000));
        plan.run(&mut output, &first, &second, |one, other| one + other);
        (plan.shape().to_vec(), output.iter().map(|sum| (sum % 1000, sum / 1000)).collect())
    }

    #[test]
    fn a_dimension_of_one_is_repeated_on_either_side() {
        assert_eq!(pairs(&[], &[]), (vec![], vec![(0, 0)]));
        assert_eq!(pairs(&[3], &[]), (vec![3], vec![(0, 0), (1, 0), (2, 0)]));
        assert_eq!(pairs(&[2, 1], &[3]).1, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(pairs(&[2], &[2, 2]).1, [(0, 0), (1, 1), (0, 2), (1, 3)]);
        assert_eq!(pairs(&[2, 1, 2], &[1, 2, 1]).0, [2, 2, 2]);
        assert_eq!(
            pairs(&[2, 1, 2], &[1, 2, 1]).1,
            [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1)]
        );
    }

    #[test]
    fn empty_shapes_give_empty_outputs_and_sizes_that_differ_are_an_error() {
        assert_eq!(pairs(&[0, 3], &[3]), (vec![0, 3], vec![]));
        assert_eq!(pairs(&[3, 0], &[1]), (vec![3, 0], vec![]));
        assert!(Broadcast::new(&[2, 3], &[2]).unwrap_err().contains("[2, 3] and [2]"));
        assert!(Broadcast::new(&[0], &[2]).is_err());
    }
}
