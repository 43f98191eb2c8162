//! Reads a model from the bytes of its file.

use bytes::Bytes;
use prost::Message;

use crate::proto::ModelProto;

/// The bytes are not an ONNX model.
#[derive(Debug, thiserror::Error)]
#[error("not an ONNX model: {0}")]
pub struct ReadError(#[from] prost::DecodeError);

/// Decodes a model. Its weights share the memory of `bytes`.
///
/// # Errors
///
/// [`ReadError`] if `bytes` cannot be decoded as an ONNX model.
pub fn read(bytes: Bytes) -> Result<ModelProto, ReadError> {
    Ok(ModelProto::decode(bytes)?)
}
