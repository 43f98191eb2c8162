//! Binary tensor data: JSON, whose length a header gives, followed by the tensors' packed bytes.

use bytes::Bytes;
use compact_str::CompactString;

use crate::{
    Datatype, DecodeError, InferRequest, InferResponse, InputTensor, Parameter, Parameters, Problem, Shape,
    Tensor,
    json::{self, Nulls},
    push_bytes_element,
};

/// The header that gives the bytes of JSON before the tensors; without it a body is all JSON.
pub const JSON_LENGTH_HEADER: &str = "inference-header-content-length";

/// Reads a request of `json_length` bytes of JSON and then the bytes of the inputs that carry the parameter
/// `binary_data_size`, in their order. These inputs share the body's memory. `nulls` says what `null` means as an element
/// of the other inputs.
///
/// # Errors
/// Whatever is wrong with the body, by tensor and byte.
pub fn decode_request(body: &Bytes, json_length: usize, nulls: Nulls) -> Result<InferRequest, DecodeError> {
    let (json, tail) = split(body, json_length)?;
    json::decode(&json, tail, nulls)
}

/// Reads a response; `json_length` is `None` where it is all JSON. `null` for a float is NaN.
///
/// # Errors
/// Whatever is wrong with the body, by tensor and byte.
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

/// Makes a request of a body without JSON (`Inference-Header-Content-Length: 0`): all of it is the only
/// input's data. Every output goes out as binary data.
///
/// `dims` are the declared dimensions with the batch axis, where there is one, set to 1; one of them may be
/// -1 and follows from the body's size. BYTES must have a single element, whose length prefix is not sent.
///
/// # Errors
/// [`Problem::Raw`] where the body cannot fill that shape, [`Problem::ByteCount`] where it has another size.
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
