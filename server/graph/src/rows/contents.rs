//! The elements of small tensors.

use super::{
    size::{Size, Sizes},
    value::{MAX_CONTENTS, Value},
};
use crate::proto::{TensorProto, data_type};

/// Largest index table, in elements, that is searched for its greatest element.
const MAX_TABLE_ELEMENTS: usize = 1 << 13;

/// The value of a constant in the file.
pub(crate) fn literal(tensor: &TensorProto, sizes: &mut Sizes) -> Value {
    if tensor.dims.len() > 64 {
        return Value::unknown().with_type(tensor.data_type);
    }
    let shape: Vec<Size> = tensor.dims.iter().map(|&dim| sizes.constant(dim)).collect();
    let count = tensor.dims.iter().try_fold(1_i64, |count, &dim| count.checked_mul(dim));
    let small = count.and_then(|count| usize::try_from(count).ok()).filter(|&count| count <= MAX_CONTENTS);
    let contents = small.and_then(|count| elements(tensor, count, sizes));
    let bound = bound(tensor, sizes);
    Value { bound, ..Value::shaped(shape).with_type(tensor.data_type).with_contents(contents) }
}

/// The greatest element of an index table plus one. `None` if an element is negative.
fn bound(tensor: &TensorProto, sizes: &mut Sizes) -> Option<Size> {
    let count = tensor.int64_data.len().max(tensor.raw_data.len() / 8);
    if tensor.data_type != data_type::INT64 || tensor.data_location != 0 || count > MAX_TABLE_ELEMENTS {
        return None;
    }
    let raw =
        tensor.raw_data.chunks_exact(8).filter_map(|c| <[u8; 8]>::try_from(c).ok()).map(i64::from_le_bytes);
    let all = raw.chain(tensor.int64_data.iter().copied());
    let (low, high) = all.fold((0, 0), |(low, high), value| (value.min(low), value.max(high)));
    (low == 0).then(|| high.checked_add(1)).flatten().map(|bound| sizes.constant(bound))
}

fn elements(tensor: &TensorProto, count: usize, sizes: &mut Sizes) -> Option<Vec<Size>> {
    let raw = tensor.raw_data.as_ref();
    if tensor.data_location != 0 {
        return None;
    }
    let is_raw = !raw.is_empty();
    let wide = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).ok();
    let four = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok();
    let found: Vec<Size> = match tensor.data_type {
        data_type::INT64 if is_raw => raw
            .chunks(8)
            .map(|c| wide(c).map(|b| sizes.constant(i64::from_le_bytes(b))))
            .collect::<Option<_>>()?,
        data_type::INT64 => tensor.int64_data.iter().map(|&value| sizes.constant(value)).collect(),
        data_type::INT32 if is_raw => raw
            .chunks(4)
            .map(|c| four(c).map(|b| sizes.constant(i64::from(i32::from_le_bytes(b)))))
            .collect::<Option<_>>()?,
        data_type::FLOAT if is_raw => raw
            .chunks(4)
            .map(|c| four(c).map(|b| sizes.float(f32::from_le_bytes(b))))
            .collect::<Option<_>>()?,
        data_type::FLOAT16 if is_raw => raw
            .chunks(2)
            .map(|c| {
                <[u8; 2]>::try_from(c).ok().and_then(|b| half(u16::from_le_bytes(b))).map(|v| sizes.float(v))
            })
            .collect::<Option<_>>()?,
        data_type::DOUBLE if is_raw => raw
            .chunks(8)
            .map(|c| wide(c).and_then(|b| narrow(f64::from_le_bytes(b))).map(|v| sizes.float(v)))
            .collect::<Option<_>>()?,
        data_type::FLOAT => tensor.float_data.iter().map(|&value| sizes.float(value)).collect(),
        data_type::BOOL if is_raw => raw.iter().map(|&value| sizes.constant(i64::from(value != 0))).collect(),
        data_type::INT32 | data_type::BOOL => {
            tensor.int32_data.iter().map(|&value| sizes.constant(i64::from(value))).collect()
        }
        _ => return None,
    };
    (found.len() == count).then_some(found)
}

/// Converts a half-precision number. `None` if it is infinite, NaN or subnormal.
fn half(bits: u16) -> Option<f32> {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 0x1f, bits & 0x3ff);
    if exponent == 0x1f || (exponent == 0 && fraction != 0) {
        return None;
    }
    // the exponent bias is 15 in half precision and 127 in single precision
    let exponent = if exponent == 0 { 0 } else { u32::from(exponent) + 112 };
    Some(f32::from_bits(u32::from(sign) << 31 | exponent << 23 | u32::from(fraction) << 13))
}

/// Converts a number to single precision. `None` if it would be rounded.
#[expect(clippy::cast_possible_truncation, reason = "checked: the number must come back")]
fn narrow(value: f64) -> Option<f32> {
    let narrow = value as f32;
    (f64::from(narrow).to_bits() == value.to_bits()).then_some(narrow)
}

/// The dimensions as numbers, if all are constant and the tensor is small.
pub(crate) fn small_shape(shape: &[Size], sizes: &Sizes) -> Option<Vec<usize>> {
    let dims: Vec<usize> =
        shape.iter().map(|&dim| usize::try_from(sizes.as_constant(dim)?).ok()).collect::<Option<_>>()?;
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))?;
    (count <= MAX_CONTENTS).then_some(dims)
}

/// The index of each element of a tensor with dimensions `out`, in row-major order.
pub(crate) fn indices(out: &[usize]) -> Vec<Vec<usize>> {
    let count = out.iter().product();
    let mut all = Vec::with_capacity(count);
    let mut index = vec![0; out.len()];
    for _ in 0..count {
        all.push(index.clone());
        for axis in (0..out.len()).rev() {
            index[axis] += 1;
            if index[axis] < out[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    all
}

/// The row-major position of the element at `index` in a tensor that is broadcast: a dimension of 1 repeats, and
/// leading axes may be absent.
pub(crate) fn position(dims: &[usize], index: &[usize]) -> usize {
    let skipped = index.len().saturating_sub(dims.len());
    dims.iter().zip(&index[skipped..]).fold(0, |at, (&dim, &i)| at * dim + if dim == 1 { 0 } else { i })
}
