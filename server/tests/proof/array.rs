//! Tensors of the three datatypes that the random graphs compute with.

use ort::value::{DynValue, Tensor, TensorElementType, ValueType};

/// What is the same but for rounding.
const TOLERANCE: f32 = 1e-3;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Bools(Vec<bool>),
}

#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

impl Array {
    pub(crate) fn to_value(&self) -> DynValue {
        let shape = self.shape.clone();
        match &self.elements {
            Elements::Floats(values) => Tensor::from_array((shape, values.clone())).unwrap().into_dyn(),
            Elements::Integers(values) => Tensor::from_array((shape, values.clone())).unwrap().into_dyn(),
            Elements::Bools(values) => Tensor::from_array((shape, values.clone())).unwrap().into_dyn(),
        }
    }

    /// `None` for other datatypes.
    pub(crate) fn of_value(value: &DynValue) -> Option<Self> {
        let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return None };
        let shape = shape.iter().map(|&size| size as usize).collect();
        let elements = match ty {
            TensorElementType::Float32 => {
                Elements::Floats(value.try_extract_tensor::<f32>().ok()?.1.to_vec())
            }
            TensorElementType::Int64 => {
                Elements::Integers(value.try_extract_tensor::<i64>().ok()?.1.to_vec())
            }
            TensorElementType::Bool => Elements::Bools(value.try_extract_tensor::<bool>().ok()?.1.to_vec()),
            _ => return None,
        };
        Some(Self { shape, elements })
    }

    /// The arrays one after the other along `axis`; `None` where they differ in another one.
    pub(crate) fn join(arrays: &[&Self], axis: usize) -> Option<Self> {
        let first = arrays.first()?;
        let others = |array: &Self| {
            let mut shape = array.shape.clone();
            shape.get_mut(axis).map(std::mem::take).map(|_| shape)
        };
        let expected = others(first)?;
        if !arrays.iter().all(|array| others(array).as_ref() == Some(&expected)) {
            return None;
        }
        let mut shape = first.shape.clone();
        shape[axis] = arrays.iter().map(|array| array.shape[axis]).sum();
        let turns: usize = shape[..axis].iter().product();
        let elements = match &first.elements {
            Elements::Floats(_) => Elements::Floats(interleave(arrays, turns, |of| match &of.elements {
                Elements::Floats(values) => values,
                _ => &[],
            })),
            Elements::Integers(_) => Elements::Integers(interleave(arrays, turns, |of| match &of.elements {
                Elements::Integers(values) => values,
                _ => &[],
            })),
            Elements::Bools(_) => Elements::Bools(interleave(arrays, turns, |of| match &of.elements {
                Elements::Bools(values) => values,
                _ => &[],
            })),
        };
        Some(Self { shape, elements })
    }

    /// Whether they are the same but for rounding.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let same = match (&self.elements, &other.elements) {
            (Elements::Floats(left), Elements::Floats(right)) => {
                let largest = left
                    .iter()
                    .filter(|value| value.is_finite())
                    .fold(1.0_f32, |most, value| most.max(value.abs()));
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| {
                        left.to_bits() == right.to_bits()
                            || (left.is_nan() && right.is_nan())
                            || (left - right).abs() <= TOLERANCE * largest
                    })
            }
            (left, right) => left == right,
        };
        same && self.shape == other.shape
    }
}

fn interleave<T: Copy>(arrays: &[&Array], turns: usize, values: impl Fn(&Array) -> &[T]) -> Vec<T> {
    let mut joined = Vec::new();
    for turn in 0..turns {
        for array in arrays {
            let values = values(array);
            let length = values.len() / turns;
            joined.extend_from_slice(&values[turn * length..(turn + 1) * length]);
        }
    }
    joined
}
