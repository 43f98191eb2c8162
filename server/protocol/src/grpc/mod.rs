//! The protocol over gRPC: messages and service, generated from `proto/inference.proto`, and the conversion between the
//! messages of inference and this crate's own types.

mod codec;
mod contents;
pub mod frame;
mod generated;
mod request;
mod response;

pub use codec::{MessageCodec, decode_message};
pub use generated::{
    FILE_DESCRIPTOR_SET, grpc_inference_service_client as client, grpc_inference_service_server as server,
    messages,
};
pub use request::{TensorForm, decode_request, encode_request};
pub use response::{decode_response, encode_response};
