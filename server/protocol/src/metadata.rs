//! Responses other than inference: metadata of the server and its models, and errors.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Datatype;

/// Response to `GET /v2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Name of the server.
    pub name: String,
    /// Version of the server.
    pub version: String,
    /// Names of the protocol extensions that the server supports.
    pub extensions: Vec<String>,
}

/// Response to `GET /v2/models/{model}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Name of the model.
    pub name: String,
    /// Versions that are served.
    pub versions: Vec<String>,
    /// Framework and format, such as `onnxruntime_onnx`.
    pub platform: String,
    /// Inputs, in the model's order.
    pub inputs: Vec<TensorMetadata>,
    /// Outputs, in the model's order.
    pub outputs: Vec<TensorMetadata>,
}

/// Metadata of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Name of the input or output.
    pub name: String,
    /// Datatype of its elements.
    pub datatype: Datatype,
    /// Size along each axis; -1 where it varies.
    pub shape: Vec<i64>,
    /// Whether a request may omit the input because the model has a default for it. Written only if true.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

/// The body of an error response: `{"error": "…"}`.
pub fn error_body(message: &str) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        error: &'a str,
    }
    serde_json::to_vec(&Body { error: message }).expect("a struct of one string is always JSON").into()
}
