//! A check of joining beside the proof from the graph: at load, a few rows are run alone and joined, and must give the
//! same outputs.

use std::time::{Duration, Instant};

use oip::{Datatype, InferRequest, Shape, Tensor, push_bytes_element};

use crate::{
    batcher::{
        gather::{Gatherer, RequestInputs},
        scatter::scatter,
    },
    executor::{ExecuteError, Executor},
    model::{Dimension, RowAxes, TensorSpec},
    request::validate::{Inputs, Rules, ValidRequest, validate},
};

/// Rows that are compared: one is random, one is of zeros, and one is another random one or the example.
const COMPARED_ROWS: usize = 3;

/// Sizes that are tried for dynamic dimensions other than the rows, until the model runs. The first is small, and models
/// of pictures and sounds need the others.
const TRIED_SIZES: [usize; 3] = [3, 32, 224];

/// Longest row that is compared. Loading a model of longer rows would take several times as long.
const MAX_ROW_TIME: Duration = Duration::from_millis(500);

/// Most elements of an input. A size that needs more is not tried: 16 MiB of FP32.
const MAX_ELEMENTS: usize = 1 << 22;

/// How far two values may differ by rounding, as a part of the largest value of the output.
const TOLERANCE: f64 = 1e-2;

/// Compares what [`COMPARED_ROWS`] rows give joined with what they give alone. Returns `None` where that shows nothing: the
/// model takes long, or it runs on none of the rows.
///
/// # Errors
/// An output differs. The text names it.
pub(super) fn check_rows(
    session: &mut dyn Executor,
    rules: &Rules,
    example: Option<InferRequest>,
) -> Option<Result<(), String>> {
    let axes = rules.batching.axes()?;
    let example = example.and_then(|request| one_row(request, rules));
    // The model is known to run on the sizes of the example.
    let of_example = example.as_ref().and_then(|example| rows(session, rules, Sizes::Of(example)));
    let rows = match of_example {
        Some(mut rows) => {
            rows.extend(example);
            rows
        }
        None => TRIED_SIZES.iter().find_map(|&size| rows(session, rules, Sizes::All(size)))?,
    };
    compare(session, rules, axes, &rows).ok()
}

/// The sizes of the dimensions that are not rows.
#[derive(Clone, Copy)]
enum Sizes<'a> {
    All(usize),
    Of(&'a Inputs),
}

/// Makes random rows and one of zeros. Returns `None` if the model does not run on rows of these sizes, or takes long.
fn rows(session: &mut dyn Executor, rules: &Rules, sizes: Sizes<'_>) -> Option<Vec<Inputs>> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut make = |zeros: bool| {
        let specs = rules.signature.required().iter().enumerate();
        specs.map(|(index, spec)| tensor(spec, shape(rules, index, sizes)?, &mut random, zeros)).collect()
    };
    let first: Inputs = make(false)?;
    let started = Instant::now();
    run_alone(session, &first).ok()?;
    if started.elapsed() > MAX_ROW_TIME {
        return None;
    }
    let zeros: Option<Inputs> = make(true);
    let zeros = zeros.filter(|zeros| run_alone(session, zeros).is_ok());
    let count = COMPARED_ROWS - usize::from(matches!(sizes, Sizes::Of(_))) - usize::from(zeros.is_some());
    let mut rows = vec![first];
    while rows.len() < count {
        rows.push(make(false)?);
    }
    rows.extend(zeros);
    Some(rows)
}

/// Returns the shape of one row of an input.
fn shape(rules: &Rules, index: usize, sizes: Sizes<'_>) -> Option<Shape> {
    let spec = &rules.signature.inputs[index];
    let size = |(axis, dim): (usize, &Dimension)| match (dim, sizes) {
        _ if rules.input_rows(index) == Some(axis) => Some(1),
        (Dimension::Fixed(size), _) => Some(*size),
        (Dimension::Dynamic(_), Sizes::All(size)) => Some(size),
        (Dimension::Dynamic(_), Sizes::Of(example)) => example[index].shape.0.get(axis).copied(),
    };
    let shape = Shape(spec.dims.as_ref()?.iter().enumerate().map(size).collect::<Option<_>>()?);
    shape.elements().is_some_and(|elements| elements <= MAX_ELEMENTS).then_some(shape)
}

/// Returns the first row of the model's example.
fn one_row(example: InferRequest, rules: &Rules) -> Option<Inputs> {
    let axes = rules.batching.axes()?;
    let ValidRequest { inputs, optional, .. } = validate(example, rules).ok()?;
    let row = |(tensor, &axis): (&Tensor, &usize)| tensor.slice_along(axis, 0, 1);
    optional.is_empty().then(|| inputs.iter().zip(&axes.inputs).map(row).collect::<Option<_>>())?
}

fn run_alone(session: &mut dyn Executor, inputs: &Inputs) -> Result<Vec<Tensor>, ExecuteError> {
    run_joined(session, &[], std::slice::from_ref(inputs))
}

fn run_joined(
    session: &mut dyn Executor,
    axes: &[usize],
    rows: &[Inputs],
) -> Result<Vec<Tensor>, ExecuteError> {
    let inputs: Vec<_> = rows.iter().map(|inputs| RequestInputs::of(inputs)).collect();
    Gatherer::along(axes.to_vec()).gather(&inputs, |batch| session.execute(batch, None))
}

/// Compares what the rows give joined with what each gives alone. The outer error: a row does not run alone.
fn compare(
    session: &mut dyn Executor,
    rules: &Rules,
    axes: &RowAxes,
    rows: &[Inputs],
) -> Result<Result<(), String>, ExecuteError> {
    let expected: Vec<_> = rows.iter().map(|row| run_alone(session, row)).collect::<Result<_, _>>()?;
    let together = match run_joined(session, &axes.inputs, rows) {
        Ok(outputs) => scatter(outputs, &vec![1; rows.len()], &axes.outputs),
        Err(error) => Err(error),
    };
    let together = match together {
        Ok(together) => together,
        Err(error) => return Ok(Err(format!("rows that run alone do not run joined: {error}"))),
    };
    for (row, (expected, got)) in expected.iter().zip(&together).enumerate() {
        for (spec, (expected, got)) in rules.signature.outputs.iter().zip(expected.iter().zip(got)) {
            if !are_close(expected, got) {
                let name = &spec.name;
                return Ok(Err(format!("output '{name}' of row {row} is not the same when rows are joined")));
            }
        }
    }
    Ok(Ok(()))
}

/// Returns whether tensors are the same apart from rounding.
fn are_close(expected: &Tensor, got: &Tensor) -> bool {
    if expected.shape != got.shape {
        return false;
    }
    let (Some(expected), Some(others)) = (numbers(expected), numbers(got)) else {
        return expected.data == got.data;
    };
    let finite = expected.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |largest: f64, value| largest.max(value.abs()));
    expected.iter().zip(&others).all(|(left, right)| {
        left.to_bits() == right.to_bits()
            || (left.is_nan() && right.is_nan())
            || (left.is_finite() && (left - right).abs() <= TOLERANCE * largest)
    })
}

/// Returns the elements of a floating point tensor, and `None` for any other.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    let data = &tensor.data;
    Some(match tensor.datatype {
        Datatype::Fp16 => elements(data, |bytes| half::f16::from_le_bytes(bytes).into()),
        Datatype::Bf16 => elements(data, |bytes| half::bf16::from_le_bytes(bytes).into()),
        Datatype::Fp32 => elements(data, |bytes| f32::from_le_bytes(bytes).into()),
        Datatype::Fp64 => elements(data, f64::from_le_bytes),
        _ => return None,
    })
}

fn elements<const SIZE: usize>(data: &[u8], read: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    data.as_chunks::<SIZE>().0.iter().map(|&bytes| read(bytes)).collect()
}

/// Makes a tensor of zeros, or of random numbers, which are the same at each start. Floating point numbers are from -1 to
/// 1. Others are 0 or 1, since these are valid as an index wherever there are two things to choose from.
fn tensor(spec: &TensorSpec, shape: Shape, random: &mut Random, zeros: bool) -> Option<Tensor> {
    let datatype = spec.datatype;
    let mut data = Vec::new();
    for _ in 0..shape.elements()? {
        let number = if zeros { 0.0 } else { random.next() };
        let bit = number > 0.0;
        match datatype {
            Datatype::Fp16 => data.extend(half::f16::from_f64(number).to_le_bytes()),
            Datatype::Bf16 => data.extend(half::bf16::from_f64(number).to_le_bytes()),
            Datatype::Fp32 => data.extend((number as f32).to_le_bytes()),
            Datatype::Fp64 => data.extend(number.to_le_bytes()),
            Datatype::Bytes => push_bytes_element(&mut data, if bit { b"a" } else { b"" }),
            _ => {
                data.push(u8::from(bit));
                data.resize(data.len() + datatype.size()? - 1, 0);
            }
        }
    }
    Some(Tensor { datatype, shape, data: data.into() })
}

/// A generator of numbers from -1 to 1 (xorshift64*). It starts with the same number each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::{
        executor::BatchInput,
        model::{Batching, Signature},
    };

    /// Doubles every number; with `mixes`, it adds the first number of the batch to it.
    struct Doubles {
        mixes: bool,
        least: usize,
    }

    impl Executor for Doubles {
        fn execute(
            &mut self,
            inputs: &[BatchInput<'_>],
            _: Option<&crate::executor::Stop>,
        ) -> Result<Vec<Tensor>, ExecuteError> {
            let BatchInput { shape, data, .. } = inputs[0];
            if shape.0[1] < self.least {
                return Err(ExecuteError::server("too short"));
            }
            let numbers: &[f32] = bytemuck::cast_slice(data);
            let added = if self.mixes { numbers[0] } else { 0.0 };
            let doubled: Vec<f32> = numbers.iter().map(|number| 2.0 * number + added).collect();
            let data = bytemuck::cast_slice(&doubled).to_vec().into();
            Ok(vec![Tensor { datatype: Datatype::Fp32, shape: shape.clone(), data }])
        }
    }

    fn checked(mixes: bool, least: usize) -> Option<Result<(), String>> {
        let any = || Dimension::Dynamic("".into());
        let spec = |name: &str| TensorSpec::new(name, Datatype::Fp32, vec![any(), any()]);
        let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("y")] };
        let axes = RowAxes { inputs: vec![0], outputs: vec![0] };
        let rules = Rules::new(signature, Batching::Proven(axes), None);
        check_rows(&mut Doubles { mixes, least }, &rules, None)
    }

    #[test]
    fn rows_that_mix_are_seen() {
        assert_eq!(checked(false, 1), Some(Ok(())));
        let seen = checked(true, 1).unwrap().unwrap_err();
        assert!(seen.contains("'y'"), "{seen}");
    }

    #[test]
    fn a_size_is_found_that_the_model_runs_with() {
        assert_eq!(checked(false, 20), Some(Ok(())));
        assert!(checked(true, 20).unwrap().is_err());
        assert_eq!(checked(true, 2_000), None);
    }

    #[test]
    fn rounding_is_no_difference() {
        let of = |values: [f32; 2]| Tensor {
            datatype: Datatype::Fp32,
            shape: Shape(smallvec![2]),
            data: bytemuck::cast_slice(&values).to_vec().into(),
        };
        assert!(are_close(&of([1.0, f32::NAN]), &of([1.000_1, f32::NAN])));
        assert!(!are_close(&of([1.0, 0.0]), &of([1.1, 0.0])));
        assert!(!are_close(&of([1.0, f32::INFINITY]), &of([1.0, 2.0])));
    }
}
