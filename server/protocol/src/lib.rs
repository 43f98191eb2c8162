//! Open Inference Protocol: tensors, datatypes and their wire formats.
//!
//! This crate knows the protocol and nothing else: no web framework, no inference engine. A tensor's
//! elements stay in one [`bytes::Bytes`], little-endian and packed, from the wire to the batch.

mod datatype;
mod message;
mod parameter;
mod tensor;

pub use datatype::{Datatype, UnknownDatatype};
pub use message::{InferRequest, InferResponse, InputTensor, RequestedOutput};
pub use parameter::{Parameter, Parameters};
pub use tensor::{Shape, Tensor};
