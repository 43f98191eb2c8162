//! Elements of small tensors.

use super::{
    size::{Size, Sizes},
    value::{MOST_CONTENTS, Value},
};
use crate::proto::{TensorProto, data_type};

/// A constant of the file.
pub(crate) fn literal(tensor: &TensorProto, sizes: &mut Sizes) -> Value {
    let shape: Vec<Size> = tensor.dims.iter().map(|&dim| sizes.constant(dim)).collect();
    let count = tensor.dims.iter().try_fold(1_i64, |count, &dim| count.checked_mul(dim));
    let small = count.and_then(|count| usize::try_from(count).ok()).filter(|&count| count <= MOST_CONTENTS);
    let contents = small.and_then(|count| elements(tensor, count, sizes));
    Value::shaped(shape).with_type(tensor.data_type).with_contents(contents)
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
        data_type::FLOAT => tensor.float_data.iter().map(|&value| sizes.float(value)).collect(),
        data_type::BOOL if is_raw => raw.iter().map(|&value| sizes.constant(i64::from(value != 0))).collect(),
        data_type::INT32 | data_type::BOOL => {
            tensor.int32_data.iter().map(|&value| sizes.constant(i64::from(value))).collect()
        }
        _ => return None,
    };
    (found.len() == count).then_some(found)
}

/// The dimensions as numbers, where the tensor is small.
pub(crate) fn small_shape(shape: &[Size], sizes: &Sizes) -> Option<Vec<usize>> {
    let dims: Vec<usize> =
        shape.iter().map(|&dim| usize::try_from(sizes.as_constant(dim)?).ok()).collect::<Option<_>>()?;
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))?;
    (count <= MOST_CONTENTS).then_some(dims)
}

/// For each element of `out`, in row-major order: its index.
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

/// The row-major position of an index; a dimension of 1 repeats, and leading axes may be missing.
pub(crate) fn position(dims: &[usize], index: &[usize]) -> usize {
    let skipped = index.len().saturating_sub(dims.len());
    dims.iter().zip(&index[skipped..]).fold(0, |at, (&dim, &i)| at * dim + if dim == 1 { 0 } else { i })
}
