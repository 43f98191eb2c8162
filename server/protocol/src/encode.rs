//! Writing of requests and responses: JSON, followed by the tensors that go out as binary data.

use std::mem;

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::{
    Datatype, EncodeError, InferRequest, InferResponse, Parameters, Tensor,
    json::{write_elements, write_parameter, write_string},
};

/// Bytes from which on binary data is sent from where it is: copies of less are cheaper than another piece.
const PIECE_BYTES: usize = 64 << 10;

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The JSON and what follows it, one piece after the other: one piece, unless there are large tensors, which are
    /// pieces of their own and not copied.
    pub pieces: SmallVec<[Bytes; 1]>,
    /// Length of the JSON, for the header `Inference-Header-Content-Length`; `None` where nothing follows it.
    pub json_length: Option<usize>,
}

impl Encoded {
    /// The JSON and what follows it in one piece; several are copied.
    pub fn body(&self) -> Bytes {
        if let [body] = &self.pieces[..] { body.clone() } else { self.pieces.concat().into() }
    }
}

/// Writes a response. Output `i` goes out as binary data where `binary[i]` is true, else as JSON, as it does
/// beyond the end of `binary`.
///
/// # Errors
/// [`EncodeError`] where a tensor has strings that JSON cannot carry, or is not consistent.
pub fn encode_response(response: &InferResponse, binary: &[bool]) -> Result<Encoded, EncodeError> {
    let mut out = Vec::with_capacity(capacity(response.outputs.iter().map(|(_, tensor)| tensor), binary));
    out.extend_from_slice(b"{\"model_name\":");
    write_string(&response.model_name, &mut out);
    out.extend_from_slice(b",\"model_version\":");
    write_string(&response.model_version, &mut out);
    if let Some(id) = &response.id {
        out.extend_from_slice(b",\"id\":");
        write_string(id, &mut out);
    }
    out.extend_from_slice(b",\"outputs\":[");
    let none = Parameters::default();
    for (index, (name, tensor)) in response.outputs.iter().enumerate() {
        comma(index, &mut out);
        write_tensor(name, tensor, &none, is_binary(binary, index), &mut out)?;
    }
    out.extend_from_slice(b"]}");
    Ok(append_binary(out, response.outputs.iter().map(|(_, tensor)| tensor), binary))
}

/// Writes a request. Input `i` goes out as binary data where `binary[i]` is true, else as JSON, as it does
/// beyond the end of `binary`.
///
/// # Errors
/// [`EncodeError`] where a tensor has strings that JSON cannot carry, or is not consistent.
pub fn encode_request(request: &InferRequest, binary: &[bool]) -> Result<Encoded, EncodeError> {
    let mut out = Vec::with_capacity(capacity(request.inputs.iter().map(|input| &input.tensor), binary));
    out.push(b'{');
    if let Some(id) = &request.id {
        out.extend_from_slice(b"\"id\":");
        write_string(id, &mut out);
        out.push(b',');
    }
    if !request.parameters.is_empty() {
        write_parameters(&request.parameters, None, &mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"inputs\":[");
    for (index, input) in request.inputs.iter().enumerate() {
        comma(index, &mut out);
        write_tensor(&input.name, &input.tensor, &input.parameters, is_binary(binary, index), &mut out)?;
    }
    out.push(b']');
    write_requested_outputs(request, &mut out);
    out.push(b'}');
    Ok(append_binary(out, request.inputs.iter().map(|input| &input.tensor), binary))
}

fn write_requested_outputs(request: &InferRequest, out: &mut Vec<u8>) {
    if request.outputs.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"outputs\":[");
    for (index, output) in request.outputs.iter().enumerate() {
        comma(index, out);
        out.extend_from_slice(b"{\"name\":");
        write_string(&output.name, out);
        if !output.parameters.is_empty() {
            out.push(b',');
            write_parameters(&output.parameters, None, out);
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn write_tensor(
    name: &CompactString,
    tensor: &Tensor,
    parameters: &Parameters,
    binary: bool,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if tensor.check().is_err() {
        return Err(EncodeError::Inconsistent { name: name.clone() });
    }
    out.extend_from_slice(b"{\"name\":");
    write_string(name, out);
    out.extend_from_slice(b",\"datatype\":\"");
    out.extend_from_slice(tensor.datatype.as_str().as_bytes());
    out.extend_from_slice(b"\",\"shape\":[");
    for (index, &dim) in tensor.shape.0.iter().enumerate() {
        comma(index, out);
        out.extend_from_slice(itoa::Buffer::new().format(dim).as_bytes());
    }
    out.extend_from_slice(b"],");
    if binary || !parameters.is_empty() {
        write_parameters(parameters, binary.then_some(tensor.data.len()), out);
    }
    if !binary {
        if !parameters.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(b"\"data\":");
        write_elements(name, tensor, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends the field `parameters`, with `binary_data_size` first where there is one.
fn write_parameters(parameters: &Parameters, binary_size: Option<usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"parameters\":{");
    if let Some(size) = binary_size {
        out.extend_from_slice(b"\"binary_data_size\":");
        out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
    }
    for (index, (key, value)) in parameters.0.iter().enumerate() {
        comma(index + usize::from(binary_size.is_some()), out);
        write_string(key, out);
        out.push(b':');
        write_parameter(value, out);
    }
    out.push(b'}');
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn is_binary(binary: &[bool], index: usize) -> bool {
    binary.get(index).copied().unwrap_or(false)
}

/// Bytes that a message with these tensors rarely goes beyond, so that its buffer is allocated once.
fn capacity<'a>(tensors: impl Iterator<Item = &'a Tensor>, binary: &[bool]) -> usize {
    const ENVELOPE: usize = 256;
    const TENSOR: usize = 128;
    let tensors =
        tensors.enumerate().map(|(index, tensor)| TENSOR + tensor_capacity(tensor, is_binary(binary, index)));
    ENVELOPE + tensors.sum::<usize>()
}

fn tensor_capacity(tensor: &Tensor, binary: bool) -> usize {
    let size = tensor.data.len();
    match tensor.datatype {
        _ if binary && size >= PIECE_BYTES => 0,
        _ if binary => size,
        // "false,"
        Datatype::Bool => size * 6,
        // At most 2.5 digits a byte, a sign and a comma.
        Datatype::Uint8 | Datatype::Int8 => size * 5,
        Datatype::Uint16 | Datatype::Int16 | Datatype::Uint32 | Datatype::Int32 => size * 7 / 2,
        Datatype::Uint64 | Datatype::Int64 => size * 11 / 4,
        // "-1.2345678e-38,"
        Datatype::Fp16 | Datatype::Bf16 => size * 8,
        Datatype::Fp32 => size * 4,
        Datatype::Fp64 => size * 13 / 4,
        // The length's four bytes outweigh quotes and comma.
        Datatype::Bytes => size + size / 8,
    }
}

/// Appends the tensors that go out as binary data.
fn append_binary<'a>(json: Vec<u8>, tensors: impl Iterator<Item = &'a Tensor>, binary: &[bool]) -> Encoded {
    let json_length = json.len();
    let (mut pieces, mut last) = (SmallVec::new(), json);
    for (_, Tensor { data, .. }) in tensors.enumerate().filter(|(index, _)| is_binary(binary, *index)) {
        if data.len() < PIECE_BYTES {
            last.extend_from_slice(data);
            continue;
        }
        if !last.is_empty() {
            pieces.push(mem::take(&mut last).into());
        }
        pieces.push(data.clone());
    }
    if !last.is_empty() {
        pieces.push(last.into());
    }
    let length: usize = pieces.iter().map(Bytes::len).sum();
    Encoded { pieces, json_length: (length > json_length).then_some(json_length) }
}
