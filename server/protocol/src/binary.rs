//! The binary tensor data extension: a body starts with JSON, whose length a header gives, and continues with the
//! packed bytes of the tensors.

use bytes::Bytes;
use compact_str::CompactString;

use crate::{
    Datatype, DecodeError, InferRequest, InferResponse, InputTensor, Parameter, Parameters, Problem, Shape,
    Tensor,
    json::{self, Nulls},
    push_bytes_element,
};

/// HTTP header that gives the length of the JSON at the start of a body, in bytes. A body without this header is all
/// JSON.
pub const JSON_LENGTH_HEADER: &str = "inference-header-content-length";

/// Reads a request whose first `json_length` bytes are JSON. After the JSON come the bytes of each input that has the
/// parameter `binary_data_size`, in the order of the inputs; these inputs share the memory of `body`. `nulls` says what
/// `null` means in the `data` of the other inputs.
///
/// # Errors
/// [`DecodeError`] names the tensor and the byte offset of the first fault.
pub fn decode_request(body: &Bytes, json_length: usize, nulls: Nulls) -> Result<InferRequest, DecodeError> {
    let (json, tail) = split(body, json_length)?;
    json::decode(&json, tail, nulls)
}

/// Reads a response. `json_length` is `None` if the body is all JSON. `null` in floating-point data is read as NaN.
///
/// # Errors
/// [`DecodeError`] names the tensor and the byte offset of the first fault.
pub fn decode_response(body: &Bytes, json_length: Option<usize>) -> Result<InferResponse, DecodeError> {
    let (json, tail) = split(body, json_length.unwrap_or(body.len()))?;
    json::decode_response(&json, tail)
}

fn split(body: &Bytes, json_length: usize) -> Result<(Bytes, Bytes), Problem> {
    if json_length > body.len() {
        return Err(Problem::HeaderTooLong { json_length, body: body.len() });
    }
    Ok((body.slice(..json_length), body.slice(json_length..)))
}

/// Reads a body without JSON (`Inference-Header-Content-Length: 0`): the whole body is the data of the model's only
/// input, called `name`. The request asks for every output as binary data.
///
/// `dims` are the declared dimensions of the input. The caller sets the batch axis, if there is one, to 1. One
/// dimension may be -1; its size follows from the size of the body. A BYTES input must have exactly one element, and
/// the body is that element without its length prefix.
///
/// # Errors
/// [`Problem::Raw`] if the body cannot fill the shape, [`Problem::ByteCount`] if the body has another size than the
/// shape.
pub fn decode_raw(
    body: &Bytes,
    name: &str,
    datatype: Datatype,
    dims: &[i64],
) -> Result<InferRequest, DecodeError> {
    let tensor =
        raw_tensor(body, datatype, dims).map_err(|problem| DecodeError::named("input", name, problem))?;
    let input = InputTensor { name: name.into(), parameters: Parameters::default(), tensor };
    let binary = (CompactString::const_new("binary_data_output"), Parameter::Bool(true));
    Ok(InferRequest { parameters: Parameters(vec![binary]), inputs: vec![input], ..InferRequest::default() })
}

fn raw_tensor(body: &Bytes, datatype: Datatype, dims: &[i64]) -> Result<Tensor, Problem> {
    let refused = |reason| Problem::Raw { datatype, dims: dims.to_vec(), reason };
    if dims.iter().filter(|&&dim| dim < 0).count() > 1 {
        return Err(refused("more than one dimension varies"));
    }
    let known =
        |unknown: usize| Shape(dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(unknown)).collect());
    let Some(size) = datatype.size() else {
        if known(1).elements() != Some(1) || u32::try_from(body.len()).is_err() {
            return Err(refused("only a single element can come without its length"));
        }
        let mut data = Vec::with_capacity(4 + body.len());
        push_bytes_element(&mut data, body);
        return Ok(Tensor { datatype, shape: known(1), data: data.into() });
    };
    let per_step = known(1).elements().and_then(|elements| elements.checked_mul(size));
    let steps = per_step.and_then(|per_step| body.len().checked_div(per_step)).unwrap_or(0);
    Tensor::new(datatype, known(steps), body.clone())
}
