//! Open Inference Protocol: tensors, datatypes and their wire formats.
//!
//! This crate contains the protocol only, and no web framework or inference engine. The elements of a tensor stay in
//! one [`bytes::Bytes`], little-endian and packed, from the connection to the batch.
//!
//! [`json::decode_request`] reads requests. [`binary::decode_request`] reads those with the header
//! `Inference-Header-Content-Length`. [`encode_response`] writes responses. [`v1`] has the older V1 protocol.

pub mod binary;
pub mod grpc;
pub mod json;

mod base64_text;
mod datatype;
mod elements;
mod encode;
mod error;
mod excerpt;
mod extensions;
mod message;
mod metadata;
mod parameter;
mod shape;
mod tensor;

pub use base64_text::{NotBase64, decode_base64};
pub use binary::{JSON_LENGTH_HEADER, decode_response};
pub use datatype::{Datatype, UnknownDatatype};
pub use elements::{BytesElements, bytes_elements, push_bytes_element};
pub use encode::{Encoded, encode_request, encode_response};
pub use error::{DecodeError, EncodeError, Found, Problem};
pub use excerpt::on_one_line;
pub use extensions::{
    BatchStatistics, Durations, DynamicBatchingConfiguration, IndexEntry, InferenceStatistics,
    InstanceGroupConfiguration, MemoryUsage, ModelConfiguration, ModelState, ModelStatistics,
    ParameterConfiguration, ReshapeConfiguration, TensorConfiguration, VersionPolicyConfiguration,
};
pub use json::{Nulls, v1};
pub use message::{InferRequest, InferResponse, InputTensor, RequestedOutput};
pub use metadata::{ModelMetadata, ServerMetadata, TensorMetadata, error_body};
pub use parameter::{Parameter, Parameters};
pub use shape::Shape;
pub use tensor::Tensor;
