//! Properties of the classes of any output.

use oip::bytes_elements;
use proptest::{collection::vec, prelude::*};

use super::*;

fn floats(values: &[f32], shape: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(Datatype::Fp32, shape.into(), data.into()).unwrap()
}

fn nonzero(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn texts(tensor: &Tensor) -> Vec<&str> {
    tensor.check().unwrap();
    assert_eq!(tensor.datatype, Datatype::Bytes);
    bytes_elements(&tensor.data).map(|element| str::from_utf8(element).unwrap()).collect()
}

#[test]
fn each_row_has_its_best_classes_first_with_their_labels() {
    let labels = ["zero".to_owned(), String::new(), "two".to_owned()];
    let output = floats(&[0.1, 0.7, 0.2, 0.0, 0.5, 0.25, 0.25, 0.0], &[2, 4]);
    let classes = classify(&output, true, nonzero(3), &labels);
    assert_eq!(classes.shape, Shape::from(&[2, 3][..]));
    let first = ["0.700000:1", "0.200000:2:two", "0.100000:0:zero"];
    let second = ["0.500000:0:zero", "0.250000:1", "0.250000:2:two"];
    assert_eq!(texts(&classes), [first, second].concat());
}

#[test]
fn without_a_batch_axis_all_elements_are_classes() {
    let classes = classify(&floats(&[1.0, 3.0, 2.0, 4.0], &[2, 2]), false, nonzero(2), &[]);
    assert_eq!(classes.shape, Shape::from(&[2][..]));
    assert_eq!(texts(&classes), ["4.000000:3", "3.000000:1"]);
    let scalar = classify(&floats(&[7.0], &[]), false, nonzero(5), &[]);
    assert_eq!((scalar.shape.clone(), texts(&scalar)), (Shape::from(&[1][..]), vec!["7.000000:0"]));
}

#[test]
fn there_are_no_more_classes_than_the_output_has() {
    let classes = classify(&floats(&[1.0, 2.0], &[1, 2]), true, nonzero(usize::MAX), &[]);
    assert_eq!(classes.shape, Shape::from(&[1, 2][..]));
    for shape in [&[0, 3][..], &[3, 0]] {
        let classes = classify(&floats(&[], shape), true, nonzero(2), &[]);
        assert_eq!(classes.shape.0[0], shape[0]);
        assert!(texts(&classes).is_empty());
    }
}

#[test]
fn nan_comes_last_and_integers_are_exact() {
    let output = floats(&[f32::NAN, 1.0, f32::NAN, f32::NEG_INFINITY, f32::INFINITY], &[1, 5]);
    let classes = classify(&output, true, nonzero(5), &[]);
    assert_eq!(texts(&classes), ["inf:4", "1.000000:1", "-inf:3", "NaN:0", "NaN:2"]);
    let large = [u64::MAX - 1, u64::MAX, 0].map(u64::to_le_bytes).concat();
    let output = Tensor::new(Datatype::Uint64, Shape::from(&[3][..]), large.into()).unwrap();
    let classes = classify(&output, false, nonzero(2), &[]);
    assert_eq!(texts(&classes), ["18446744073709551615:1", "18446744073709551614:0"]);
}

#[test]
fn only_an_integer_above_zero_asks_for_classes_and_only_of_numbers() {
    let spec = |datatype| TensorSpec::new("y", datatype, Vec::new());
    let requested = |value, datatype| {
        classes_asked(&Parameters(vec![(PARAMETER.into(), value)]), &spec(datatype)).map_err(|error| {
            assert!(error.message.contains("'y'") && error.message.contains(PARAMETER), "{error}");
            error.code.http()
        })
    };
    assert_eq!(classes_asked(&Parameters::default(), &spec(Datatype::Bytes)), Ok(None));
    assert_eq!(requested(Parameter::Int64(3), Datatype::Fp16), Ok(Some(nonzero(3))));
    assert_eq!(requested(Parameter::Uint64(1 << 63), Datatype::Int8), Ok(Some(nonzero(1 << 63))));
    for wrong in [
        Parameter::Int64(0),
        Parameter::Int64(-1),
        Parameter::Double(1.5),
        Parameter::Bool(true),
        Parameter::String("3".into()),
    ] {
        assert_eq!(requested(wrong, Datatype::Fp32), Err(400));
    }
    assert_eq!(requested(Parameter::Int64(1), Datatype::Bytes), Err(400));
    assert_eq!(requested(Parameter::Int64(1), Datatype::Bool), Err(400));
}

proptest! {
    #[test]
    fn the_classes_are_those_of_a_stable_sort(
        rows in vec(vec(any::<f32>(), 7), 1..5),
        count in 1..10_usize,
    ) {
        let output = floats(&rows.concat(), &[rows.len(), 7]);
        let classes = classify(&output, true, nonzero(count), &[]);
        let mut expected = Vec::new();
        for row in rows {
            let mut sorted: Vec<(usize, f32)> = row.into_iter().enumerate().collect();
            sorted.sort_by(|left, right| {
                left.1.is_nan().cmp(&right.1.is_nan()).then(right.1.partial_cmp(&left.1).unwrap_or(Ordering::Equal))
            });
            expected.extend(sorted.iter().take(count).map(|(index, value)| format!("{value:.6}:{index}")));
        }
        prop_assert_eq!(texts(&classes), expected);
    }
}
