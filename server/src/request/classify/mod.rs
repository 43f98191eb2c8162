//! The classification extension: returns the best classes of an output instead of its values.

pub mod winner;

use std::{cmp::Ordering, num::NonZeroUsize};

use bytes::Bytes;
use half::{bf16, f16};
use oip::{Datatype, Parameter, Parameters, Shape, Tensor, push_bytes_element};
use smallvec::SmallVec;

use crate::{error::ServeError, model::TensorSpec};

/// The parameter of a requested output with the number of classes.
const PARAMETER: &str = "classification";

/// Returns how many classes of `output` are requested; `None` if its values are requested.
///
/// # Errors
/// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): the parameter is not an integer above 0, or the
/// output is not numeric.
pub fn classes_asked(
    parameters: &Parameters,
    output: &TensorSpec,
) -> Result<Option<NonZeroUsize>, ServeError> {
    let Some(value) = parameters.get(PARAMETER) else { return Ok(None) };
    let count = match value {
        Parameter::Int64(count) => usize::try_from(*count).ok(),
        Parameter::Uint64(count) => usize::try_from(*count).ok(),
        Parameter::Bool(_) | Parameter::Double(_) | Parameter::String(_) => None,
    };
    let TensorSpec { name, datatype, .. } = output;
    let Some(count) = count.and_then(NonZeroUsize::new) else {
        let message = format!("output '{name}': parameter '{PARAMETER}' must be an integer above 0");
        return Err(ServeError::invalid(message));
    };
    if matches!(datatype, Datatype::Bool | Datatype::Bytes) {
        let message = format!("output '{name}': {datatype} has no classes, '{PARAMETER}' takes numbers");
        return Err(ServeError::invalid(message));
    }
    Ok(Some(count))
}

/// Returns the best `count` classes of `output`, or all of them if there are fewer. Each is a BYTES element
/// `value:index`, or `value:index:label` if `labels` has a text for the index. The greatest value comes first, equal
/// values by index, and NaN last. Floats have six decimals.
///
/// With `batch_axis`, each row has classes of its own, and the shape is `[rows, count]`. Without it, all elements are
/// classes, and the shape is `[count]`. BOOL and BYTES have no classes.
pub fn classify(output: &Tensor, batch_axis: bool, count: NonZeroUsize, labels: &[String]) -> Tensor {
    match scores(output) {
        Scores::Floats(values) => best(output, &values, batch_axis, count, labels),
        Scores::Integers(values) => best(output, &values, batch_axis, count, labels),
    }
}

fn best<T: Score>(
    output: &Tensor,
    values: &[T],
    batch_axis: bool,
    count: NonZeroUsize,
    labels: &[String],
) -> Tensor {
    let rows = output.rows().filter(|_| batch_axis);
    let classes = values.len().checked_div(rows.unwrap_or(1)).unwrap_or(0);
    let count = count.get().min(classes);
    let mut data = Vec::new();
    let mut indices = Vec::with_capacity(classes);
    for row in values.chunks_exact(classes.max(1)) {
        let best_first = |&left: &usize, &right: &usize| row[right].order(row[left]).then(left.cmp(&right));
        indices.clear();
        indices.extend(0..classes);
        if count < classes {
            indices.select_nth_unstable_by(count, best_first);
            indices.truncate(count);
        }
        indices.sort_unstable_by(best_first);
        for &index in &indices {
            let value = row[index].text();
            let element = match labels.get(index).filter(|label| !label.is_empty()) {
                Some(label) => format!("{value}:{index}:{label}"),
                None => format!("{value}:{index}"),
            };
            push_bytes_element(&mut data, element.as_bytes());
        }
    }
    let shape = Shape(rows.into_iter().chain([count]).collect::<SmallVec<_>>());
    Tensor { datatype: Datatype::Bytes, shape, data: Bytes::from(data) }
}

/// The value of a class.
trait Score: Copy {
    /// Compares two values. The greater one is better.
    fn order(self, other: Self) -> Ordering;

    fn text(self) -> String;
}

impl Score for f64 {
    /// NaN is worse than any number.
    fn order(self, other: Self) -> Ordering {
        self.partial_cmp(&other).unwrap_or_else(|| other.is_nan().cmp(&self.is_nan()))
    }

    fn text(self) -> String {
        format!("{self:.6}")
    }
}

impl Score for i128 {
    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }

    fn text(self) -> String {
        self.to_string()
    }
}

/// An output's elements, converted to a type that holds every datatype's values exactly.
enum Scores {
    Floats(Vec<f64>),
    Integers(Vec<i128>),
}

fn scores(tensor: &Tensor) -> Scores {
    use Scores::{Floats, Integers};
    let data = &tensor.data;
    match tensor.datatype {
        Datatype::Uint8 => Integers(elements(data, u8::from_le_bytes)),
        Datatype::Uint16 => Integers(elements(data, u16::from_le_bytes)),
        Datatype::Uint32 => Integers(elements(data, u32::from_le_bytes)),
        Datatype::Uint64 => Integers(elements(data, u64::from_le_bytes)),
        Datatype::Int8 => Integers(elements(data, i8::from_le_bytes)),
        Datatype::Int16 => Integers(elements(data, i16::from_le_bytes)),
        Datatype::Int32 => Integers(elements(data, i32::from_le_bytes)),
        Datatype::Int64 => Integers(elements(data, i64::from_le_bytes)),
        Datatype::Fp16 => Floats(elements(data, f16::from_le_bytes)),
        Datatype::Bf16 => Floats(elements(data, bf16::from_le_bytes)),
        Datatype::Fp32 => Floats(elements(data, f32::from_le_bytes)),
        Datatype::Fp64 => Floats(elements(data, f64::from_le_bytes)),
        Datatype::Bool | Datatype::Bytes => Integers(Vec::new()),
    }
}

fn elements<const N: usize, E, T: From<E>>(data: &[u8], read: impl Fn([u8; N]) -> E) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| T::from(read(*bytes))).collect()
}

#[cfg(test)]
mod tests;
