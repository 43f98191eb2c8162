//! A model from the bytes of its file.

use bytes::Bytes;
use prost::Message;

use crate::proto::ModelProto;

/// The bytes are no ONNX model.
#[derive(Debug, thiserror::Error)]
#[error("not an ONNX model: {0}")]
pub struct ReadError(#[from] prost::DecodeError);

/// Reads a model. Weights are views of `bytes`, not copies.
///
/// # Errors
///
/// When `bytes` is not the message of an ONNX model.
pub fn read(bytes: Bytes) -> Result<ModelProto, ReadError> {
    Ok(ModelProto::decode(bytes)?)
}
