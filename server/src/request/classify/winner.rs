//! Which class wins in each row of an output, for the metrics of predictions. Nothing is allocated.

use half::{bf16, f16};
use oip::{Datatype, Tensor};

use crate::model::{Dimension, Signature, TensorSpec};

/// Returns the first output that can have a score for each of so many classes in every row: floats, with as many columns.
pub fn output_with_scores(signature: &Signature, classes: usize) -> Option<usize> {
    let has_scores = |spec: &TensorSpec| {
        let fits = |dim: &Dimension| match dim {
            Dimension::Fixed(size) => *size == classes,
            Dimension::Dynamic(_) => true,
        };
        let is_float =
            matches!(spec.datatype, Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64);
        let columns = spec.dims.as_ref().map(|dims| dims.len() <= 2 && dims.last().is_some_and(fits));
        is_float && columns.unwrap_or(true)
    };
    signature.outputs.iter().position(has_scores)
}

/// Calls `found` with the index and the score of the class with the greatest score, for each row of an output that has
/// `classes` columns. Of equal scores the first wins. Rows of NaN have no winner, and outputs of another form no rows.
pub fn winners(output: &Tensor, classes: usize, found: impl FnMut(usize, f64)) {
    let shape = &output.shape.0;
    if classes == 0 || shape.len() > 2 || shape.last() != Some(&classes) {
        return;
    }
    match output.datatype {
        Datatype::Fp16 => of_rows(&output.data, classes, |bytes| f16::from_le_bytes(bytes).to_f32(), found),
        Datatype::Bf16 => of_rows(&output.data, classes, |bytes| bf16::from_le_bytes(bytes).to_f32(), found),
        Datatype::Fp32 => of_rows(&output.data, classes, f32::from_le_bytes, found),
        Datatype::Fp64 => of_rows(&output.data, classes, f64::from_le_bytes, found),
        _ => {}
    }
}

fn of_rows<const N: usize, T: Copy + PartialOrd + Into<f64>>(
    data: &[u8],
    classes: usize,
    read: impl Fn([u8; N]) -> T,
    mut found: impl FnMut(usize, f64),
) {
    let (elements, _) = data.as_chunks::<N>();
    for row in elements.chunks_exact(classes) {
        let mut best: Option<(usize, T)> = None;
        for (index, score) in row.iter().map(|bytes| read(*bytes)).enumerate() {
            // NaN equals nothing, itself neither
            let is_number = score.partial_cmp(&score).is_some();
            if is_number && best.is_none_or(|(_, greatest)| score > greatest) {
                best = Some((index, score));
            }
        }
        if let Some((class, score)) = best {
            found(class, score.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oip::Shape;

    use super::*;

    fn tensor(datatype: Datatype, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor::new(datatype, Shape(shape.iter().copied().collect()), Bytes::from(data)).unwrap()
    }

    fn all(output: &Tensor, classes: usize) -> Vec<(usize, f64)> {
        let mut all = Vec::new();
        winners(output, classes, |class, score| all.push((class, score)));
        all
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn each_row_has_one_winner() {
        const NAN: f32 = f32::NAN;
        let rows = [[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [NAN, -2.0, -3.0], [NAN, NAN, NAN], [-1.0, NAN, 4.0]];
        let output = tensor(Datatype::Fp32, &[5, 3], floats(&rows.concat()));
        let expected = [(1_usize, f64::from(0.7_f32)), (0, 0.5), (1, -2.0), (2, 4.0)];
        assert_eq!(all(&output, 3), expected);
        assert_eq!(all(&tensor(Datatype::Fp32, &[3], floats(&rows[0])), 3), expected[..1]);
        assert!(all(&tensor(Datatype::Fp32, &[0, 3], Vec::new()), 3).is_empty());
    }

    #[test]
    fn every_float_is_read() {
        let doubles = [0.25_f64, 0.75].iter().flat_map(|value| value.to_le_bytes()).collect();
        let halves = [0.25_f32, 0.75].iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        let brains = [0.25_f32, 0.75].iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
        for (datatype, data) in
            [(Datatype::Fp64, doubles), (Datatype::Fp16, halves), (Datatype::Bf16, brains)]
        {
            assert_eq!(all(&tensor(datatype, &[1, 2], data), 2), [(1, 0.75)], "{datatype}");
        }
    }

    #[test]
    fn outputs_of_another_form_have_no_rows() {
        let output = tensor(Datatype::Fp32, &[1, 3], floats(&[1.0, 2.0, 3.0]));
        assert!(all(&output, 2).is_empty());
        assert!(all(&output, 0).is_empty());
        let deep = tensor(Datatype::Fp32, &[1, 1, 3], floats(&[1.0, 2.0, 3.0]));
        assert!(all(&deep, 3).is_empty());
        let scalar = tensor(Datatype::Fp32, &[], floats(&[1.0]));
        assert!(all(&scalar, 1).is_empty());
        assert!(all(&tensor(Datatype::Int8, &[1, 2], vec![1, 2]), 2).is_empty());
    }

    #[test]
    fn the_first_output_that_fits_is_taken() {
        let fixed = Dimension::Fixed;
        let any = || Dimension::Dynamic("N".into());
        let output = |datatype, dims| TensorSpec::new("y", datatype, dims);
        for (outputs, expected) in [
            (vec![output(Datatype::Fp32, vec![any(), fixed(3)])], Some(0)),
            (
                vec![output(Datatype::Int64, vec![any()]), output(Datatype::Fp32, vec![any(), fixed(3)])],
                Some(1),
            ),
            (vec![output(Datatype::Fp32, vec![any(), fixed(4)])], None),
            (vec![output(Datatype::Fp64, vec![fixed(3)])], Some(0)),
            (vec![output(Datatype::Fp16, vec![any(), any()])], Some(0)),
            (vec![output(Datatype::Fp32, vec![any(), fixed(8), fixed(3)])], None),
            (vec![TensorSpec { dims: None, ..output(Datatype::Fp32, vec![]) }], Some(0)),
            (vec![output(Datatype::Fp32, vec![])], None),
        ] {
            let signature = Signature { inputs: Vec::new(), outputs };
            assert_eq!(output_with_scores(&signature, 3), expected, "{signature:?}");
        }
    }
}
