//! Writes requests and responses: JSON, followed by the tensors that are sent as binary data.

use std::mem;

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::{
    Datatype, EncodeError, InferRequest, InferResponse, Parameters, Tensor,
    json::{write_elements, write_parameter, write_string},
};

/// Binary data of at least this many bytes becomes a piece of its own. Smaller data is copied: the copy costs less than
/// one more write to the socket.
const MIN_PIECE_BYTES: usize = 64 << 10;

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The JSON and the binary data after it, in the order in which they are sent. There is one piece, unless a tensor
    /// is so large that it is sent without a copy, as a piece of its own.
    pub pieces: SmallVec<[Bytes; 1]>,
    /// Length of the JSON in bytes, for the header `Inference-Header-Content-Length`. `None` if no binary data follows
    /// the JSON.
    pub json_length: Option<usize>,
}

impl Encoded {
    /// The whole message as one piece. Copies if there are several pieces.
    pub fn body(&self) -> Bytes {
        if let [body] = &self.pieces[..] { body.clone() } else { self.pieces.concat().into() }
    }
}

/// Writes a response. Output `i` is sent as binary data if `binary[i]` is true. All other outputs, also those beyond
/// the end of `binary`, are sent as JSON.
///
/// # Errors
/// [`EncodeError`] if a string in a tensor sent as JSON is not UTF-8, or if a tensor's data does not match its datatype
/// and shape.
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

/// Writes a request. Input `i` is sent as binary data if `binary[i]` is true. All other inputs, also those beyond the
/// end of `binary`, are sent as JSON.
///
/// # Errors
/// [`EncodeError`] if a string in a tensor sent as JSON is not UTF-8, or if a tensor's data does not match its datatype
/// and shape.
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

/// Appends the field `parameters`. `binary_size` is written first, as `binary_data_size`, if the tensor is binary.
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

/// Estimates the size of a message in bytes, generously, so that its buffer is usually allocated only once.
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
        _ if binary && size >= MIN_PIECE_BYTES => 0,
        _ if binary => size,
        // The longest element is "false,", 6 bytes.
        Datatype::Bool => size * 6,
        // An integer takes at most 2.5 digits per byte of its size, and a sign and a comma.
        Datatype::Uint8 | Datatype::Int8 => size * 5,
        Datatype::Uint16 | Datatype::Int16 | Datatype::Uint32 | Datatype::Int32 => size * 7 / 2,
        Datatype::Uint64 | Datatype::Int64 => size * 11 / 4,
        // The longest element is about "-1.2345678e-38,".
        Datatype::Fp16 | Datatype::Bf16 => size * 8,
        Datatype::Fp32 => size * 4,
        Datatype::Fp64 => size * 13 / 4,
        // The 4-byte length prefix is larger than the quotes and the comma, so an eighth more is enough for escapes.
        Datatype::Bytes => size + size / 8,
    }
}

/// Appends the data of the tensors that are sent as binary data.
fn append_binary<'a>(json: Vec<u8>, tensors: impl Iterator<Item = &'a Tensor>, binary: &[bool]) -> Encoded {
    let json_length = json.len();
    let (mut pieces, mut last) = (SmallVec::new(), json);
    for (_, Tensor { data, .. }) in tensors.enumerate().filter(|(index, _)| is_binary(binary, *index)) {
        if data.len() < MIN_PIECE_BYTES {
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
