//! Inference requests as JSON, read in one pass: numbers go directly from the text into the bytes of the tensor.
//!
//! The grammar is that of RFC 8259, with these limits: at most [`MAX_DEPTH`] levels, valid UTF-8 throughout, and no
//! field of the protocol twice in one object. Floating-point data may also have `NaN`, `Infinity` and `-Infinity`,
//! which Python, Java and Triton write for values that JSON has no number for. Unknown fields are skipped. An optional
//! field that is `null` counts as absent.
//!
//! | question | file |
//! |---|---|
//! | What does a request for inference have, in which order may it come? | `request` |
//! | What does a tensor have beside its elements? | `tensor` |
//! | How are elements read into bytes, flat or nested? | `data`, with `number` and `string` |
//! | How is an answer written? | `response`, with `writer` |
//! | How does V1 write the same? | `v1` |

// In this module, no result of a comparison may be used both as a number and as a condition, as in `offset +=
// usize::from(byte == b'"')` before a branch on the same comparison. rustc 1.95 drops such a comparison when it
// optimises (rust-lang/rust#158206).

mod common;
mod data;
mod number;
mod parameters;
mod reader;
mod request;
mod response;
mod string;
mod tensor;
pub mod v1;
mod writer;

use bytes::Bytes;

use crate::{DecodeError, InferRequest};

pub use data::Nulls;
pub use reader::MAX_DEPTH;

pub(crate) use request::decode;
pub(crate) use response::decode as decode_response;
pub(crate) use writer::{write_elements, write_numbers, write_parameter, write_string};

/// Reads an inference request that is all JSON. `nulls` says what `null` means as an element.
///
/// # Errors
/// [`DecodeError`] names the tensor and the byte offset of the first fault.
pub fn decode_request(body: &Bytes, nulls: Nulls) -> Result<InferRequest, DecodeError> {
    decode(body, Bytes::new(), nulls)
}
