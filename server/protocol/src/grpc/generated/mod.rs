//! What `tests/generated.rs` writes from `proto/inference.proto`.

#[rustfmt::skip]
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated: the generator's style, not ours"
)]
mod inference;

/// The messages, and with them the client and the server of the service.
pub mod messages {
    pub use super::inference::*;
}

pub use inference::{grpc_inference_service_client, grpc_inference_service_server};

/// `proto/inference.proto` as an encoded `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("inference.bin");
