//! The typed contents of a tensor (`InferTensorContents`): one list of numbers per group of datatypes.

use std::num::TryFromIntError;

use compact_str::ToCompactString;

use super::messages::InferTensorContents;
use crate::{Datatype, Problem, Shape, Tensor, bytes_elements, push_bytes_element};

/// Whether typed contents can hold the tensor's datatype. They have no list for FP16 and BF16.
pub(super) fn has_list(tensor: &Tensor) -> bool {
    !matches!(tensor.datatype, Datatype::Fp16 | Datatype::Bf16)
}

/// Packs the elements of the list for `datatype` into bytes.
pub(super) fn unpack(
    datatype: Datatype,
    shape: Shape,
    contents: InferTensorContents,
) -> Result<Tensor, Problem> {
    let expected = shape.elements().ok_or_else(|| Problem::TooManyElements(shape.clone()))?;
    let (list, got) = filled(&contents, datatype)?;
    if got != expected {
        return Err(Problem::ElementCount { shape, expected, got, list });
    }
    let c = contents;
    let data = match datatype {
        Datatype::Bool => c.bool_contents.into_iter().map(u8::from).collect(),
        Datatype::Int8 => {
            narrow(&c.int_contents, datatype, |value| i8::try_from(value).map(i8::to_le_bytes))?
        }
        Datatype::Int16 => {
            narrow(&c.int_contents, datatype, |value| i16::try_from(value).map(i16::to_le_bytes))?
        }
        Datatype::Int32 => pack_with(&c.int_contents, i32::to_le_bytes),
        Datatype::Int64 => pack_with(&c.int64_contents, i64::to_le_bytes),
        Datatype::Uint8 => {
            narrow(&c.uint_contents, datatype, |value| u8::try_from(value).map(u8::to_le_bytes))?
        }
        Datatype::Uint16 => {
            narrow(&c.uint_contents, datatype, |value| u16::try_from(value).map(u16::to_le_bytes))?
        }
        Datatype::Uint32 => pack_with(&c.uint_contents, u32::to_le_bytes),
        Datatype::Uint64 => pack_with(&c.uint64_contents, u64::to_le_bytes),
        Datatype::Fp32 => pack_with(&c.fp32_contents, f32::to_le_bytes),
        Datatype::Fp64 => pack_with(&c.fp64_contents, f64::to_le_bytes),
        Datatype::Bytes => {
            let mut data = Vec::with_capacity(c.bytes_contents.iter().map(|element| 4 + element.len()).sum());
            c.bytes_contents.iter().for_each(|element| push_bytes_element(&mut data, element));
            data
        }
        Datatype::Fp16 | Datatype::Bf16 => Vec::new(), // `filled` has refused any elements
    };
    Tensor::new(datatype, shape, data.into())
}

/// Name and length of the list for `datatype`.
///
/// # Errors
/// A list of another datatype has elements, or `datatype` has no list.
fn filled(contents: &InferTensorContents, datatype: Datatype) -> Result<(&'static str, usize), Problem> {
    let own = match datatype {
        Datatype::Bool => "bool_contents",
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => "int_contents",
        Datatype::Int64 => "int64_contents",
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => "uint_contents",
        Datatype::Uint64 => "uint64_contents",
        Datatype::Fp32 => "fp32_contents",
        Datatype::Fp64 => "fp64_contents",
        Datatype::Bytes => "bytes_contents",
        Datatype::Fp16 | Datatype::Bf16 => "raw_input_contents",
    };
    let lists = [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ];
    if let Some((found, _)) = lists.into_iter().find(|&(list, length)| length > 0 && list != own) {
        return Err(Problem::WrongContents { datatype, expected: own, found });
    }
    Ok(lists.into_iter().find(|(list, _)| *list == own).unwrap_or((own, 0)))
}

fn pack_with<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn narrow<T: Copy + ToCompactString, const N: usize>(
    values: &[T],
    datatype: Datatype,
    bytes: impl Fn(T) -> Result<[u8; N], TryFromIntError>,
) -> Result<Vec<u8>, Problem> {
    let mut data = Vec::with_capacity(values.len() * N);
    for (index, &value) in values.iter().enumerate() {
        let beyond = |_| Problem::BeyondDatatype { index, value: value.to_compact_string(), datatype };
        data.extend_from_slice(&bytes(value).map_err(beyond)?);
    }
    Ok(data)
}

/// Puts the elements of a tensor into the list for its datatype. The datatype must have one.
pub(super) fn pack(tensor: &Tensor) -> InferTensorContents {
    let data = &tensor.data[..];
    let mut contents = InferTensorContents::default();
    match tensor.datatype {
        Datatype::Bool => contents.bool_contents = data.iter().map(|&byte| byte != 0).collect(),
        Datatype::Int8 => contents.int_contents = list(data, |b: [u8; 1]| i8::from_le_bytes(b).into()),
        Datatype::Int16 => contents.int_contents = list(data, |b| i16::from_le_bytes(b).into()),
        Datatype::Int32 => contents.int_contents = list(data, i32::from_le_bytes),
        Datatype::Int64 => contents.int64_contents = list(data, i64::from_le_bytes),
        Datatype::Uint8 => contents.uint_contents = list(data, |b: [u8; 1]| b[0].into()),
        Datatype::Uint16 => contents.uint_contents = list(data, |b| u16::from_le_bytes(b).into()),
        Datatype::Uint32 => contents.uint_contents = list(data, u32::from_le_bytes),
        Datatype::Uint64 => contents.uint64_contents = list(data, u64::from_le_bytes),
        Datatype::Fp32 => contents.fp32_contents = list(data, f32::from_le_bytes),
        Datatype::Fp64 => contents.fp64_contents = list(data, f64::from_le_bytes),
        Datatype::Bytes => {
            let element = |element: &[u8]| tensor.data.slice_ref(element);
            contents.bytes_contents = bytes_elements(data).map(element).collect();
        }
        Datatype::Fp16 | Datatype::Bf16 => {}
    }
    contents
}

fn list<T, const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = data.as_chunks::<N>();
    elements.iter().map(|&element| number(element)).collect()
}
