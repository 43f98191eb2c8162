//! Tensors of strings. ONNX Runtime stores a string as any bytes. `ort` accepts any bytes as input, but returns
//! outputs only if they are UTF-8, so outputs are read through ONNX Runtime's C interface.

use oip::{Datatype, Tensor};
use ort::{
    AsPointer as _,
    session::SessionInputValue,
    value::{DynValue, Tensor as OrtTensor, Utf8Data},
};

use super::{BatchInput, ExecuteError, onnx::shape_of};

/// The bytes of one string, which need not be UTF-8. ONNX Runtime copies them unchanged.
#[derive(Clone)]
struct StringBytes(Vec<u8>);

impl Utf8Data for StringBytes {
    fn as_utf8_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Copies an input of strings. No string may contain a NUL byte, where ONNX Runtime would end it.
pub(super) fn input<'a>(input: &BatchInput<'_>) -> Result<SessionInputValue<'a>, ExecuteError> {
    let elements: Vec<_> =
        oip::bytes_elements(input.data).map(|element| StringBytes(element.to_vec())).collect();
    OrtTensor::from_string_array((&input.shape.0[..], &elements[..]))
        .map(Into::into)
        .map_err(ExecuteError::server)
}

/// Reads an output of strings.
pub(super) fn output(value: &DynValue) -> Result<Tensor, ExecuteError> {
    let dims = value.shape();
    let shape = shape_of(dims);
    let count =
        shape.elements().ok_or_else(|| ExecuteError::server(format!("an output has the shape {shape}")))?;
    let Content { bytes, starts } = content(value, count).map_err(ExecuteError::server)?;
    let mut data = Vec::with_capacity(bytes.len() + 4 * count);
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    for (&start, end) in starts.iter().zip(ends) {
        let element = bytes.get(start..end);
        let element = element.ok_or_else(|| {
            ExecuteError::server(format!("a string from byte {start} to {end} of an output"))
        })?;
        oip::push_bytes_element(&mut data, element);
    }
    Ok(Tensor { datatype: Datatype::Bytes, shape, data: data.into() })
}

/// All strings of a tensor, one after another.
struct Content {
    bytes: Vec<u8>,
    /// Index of each string's first byte.
    starts: Vec<usize>,
}

/// Has ONNX Runtime copy the `count` strings of a tensor.
///
/// # Errors
/// The value is no tensor of strings, or has another number of them. ONNX Runtime checks both.
#[expect(unsafe_code, reason = "ort's own function refuses strings that are not UTF-8")]
fn content(value: &DynValue, count: usize) -> Result<Content, ort::Error> {
    let api = ort::api();
    let mut length = 0;
    // SAFETY: the value outlives the call, and the length is written to a variable of its type.
    unsafe { ort::Error::result_from_status((api.GetStringTensorDataLength)(value.ptr(), &raw mut length)) }?;
    let (mut bytes, mut starts) = (vec![0_u8; length], vec![0_usize; count]);
    let (to, to_starts) = (bytes.as_mut_ptr().cast(), starts.as_mut_ptr());
    // SAFETY: both buffers are as long as the call is told, and nothing else refers to them during the call.
    unsafe {
        let status = (api.GetStringTensorContent)(value.ptr(), to, length, to_starts, count);
        ort::Error::result_from_status(status)
    }?;
    Ok(Content { bytes, starts })
}
