//! Inference requests as JSON, read in one pass: numbers go straight from the text into the tensor's bytes.
//!
//! The grammar is RFC 8259's, with these limits: at most [`MAX_DEPTH`] levels, valid UTF-8 throughout, and
//! no field of the protocol twice in one object. Unknown fields are skipped; `null` in an optional field
//! is as if the field were not there.

mod data;
mod number;
mod parameters;
mod reader;
mod request;
mod response;
mod string;
mod tensor;
mod writer;

use bytes::Bytes;

use crate::{DecodeError, InferRequest};

pub(crate) use request::decode;
pub(crate) use response::decode as decode_response;
pub(crate) use writer::{write_elements, write_parameter, write_string};

/// How many levels of arrays and objects may lie within each other.
pub const MAX_DEPTH: usize = 64;

/// Reads an inference request that is all JSON.
///
/// # Errors
/// Whatever is wrong with the body, by tensor and byte.
pub fn decode_request(body: &Bytes) -> Result<InferRequest, DecodeError> {
    decode(body, Bytes::new())
}
