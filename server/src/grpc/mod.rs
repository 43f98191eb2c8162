//! The protocol over gRPC: services, and what every call passes through. Translates, and nothing else.

mod extensions;
mod health;
mod metadata;
mod model_infer;
mod service;
mod status;
mod stream;

use std::sync::Arc;

use oip::grpc::{FILE_DESCRIPTOR_SET, server::GrpcInferenceServiceServer};
use tonic::codec::CompressionEncoding;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::{v1, v1alpha};

use crate::inference::DataPlane;
use health::Health;

pub use model_infer::{ModelInfer, Reply};
pub use service::Service;
pub use status::{is_grpc, late_message, log_and_shape, panicked, unknown_call};

/// Name of the protocol's service.
const SERVICE: &str = "inference.GRPCInferenceService";

/// The protocol's service but for [`ModelInfer`]. A message may have `max_message_bytes`, after decompression.
pub fn inference(
    data_plane: Arc<DataPlane>,
    max_message_bytes: usize,
) -> GrpcInferenceServiceServer<Service> {
    let mut server = GrpcInferenceServiceServer::new(Service { data_plane })
        .max_decoding_message_size(max_message_bytes)
        .max_encoding_message_size(usize::MAX);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        server = server.accept_compressed(encoding).send_compressed(encoding);
    }
    server
}

/// The protocol's call for inference. A message may have `max_message_bytes`, after decompression.
pub fn model_infer(data_plane: Arc<DataPlane>, max_message_bytes: usize) -> ModelInfer {
    ModelInfer { service: Service { data_plane }, max_message_bytes }
}

/// `grpc.health.v1`, which Kubernetes and load balancers ask.
pub fn health(data_plane: Arc<DataPlane>) -> HealthServer<Health> {
    HealthServer::new(Health { data_plane })
}

/// Reflection, in the version that newer clients ask for.
pub fn reflection() -> v1::ServerReflectionServer<impl v1::ServerReflection> {
    reflected().build_v1().expect("the committed descriptors hold together")
}

/// Reflection, in the version that older clients ask for.
pub fn reflection_alpha() -> v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection> {
    reflected().build_v1alpha().expect("the committed descriptors hold together")
}

fn reflected() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
