//! Open Inference Protocol: tensors, datatypes and their wire formats.
//!
//! This crate knows the protocol and nothing else: no web framework, no inference engine. A tensor's
//! elements stay in one [`bytes::Bytes`], little-endian and packed, from the wire to the batch.
//!
//! Requests are read by [`json::decode_request`] and, where the header `Inference-Header-Content-Length`
//! says so, by [`binary::decode_request`]; responses are written by [`encode_response`]. [`v1`] has the older
//! protocol.

pub mod binary;
pub mod grpc;
pub mod json;

mod datatype;
mod elements;
mod encode;
mod error;
mod extensions;
mod message;
mod metadata;
mod parameter;
mod shape;
mod tensor;

pub use binary::{JSON_LENGTH_HEADER, decode_response};
pub use datatype::{Datatype, UnknownDatatype};
pub use elements::{BytesElements, bytes_elements, push_bytes_element};
pub use encode::{Encoded, encode_request, encode_response};
pub use error::{DecodeError, EncodeError, Found, Problem, on_one_line};
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
