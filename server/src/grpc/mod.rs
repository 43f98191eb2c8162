//! The protocol over gRPC. This module only translates between messages and calls of the data plane.

mod call_headers;
mod extensions;
mod health;
mod model_infer;
mod service;
mod status;
mod stream;

use std::sync::Arc;

use oip::grpc::{FILE_DESCRIPTOR_SET, server::GrpcInferenceServiceServer};
use tonic::codec::CompressionEncoding;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::{v1, v1alpha};

use crate::{access::Purpose, inference::DataPlane};
use health::Health;

pub use model_infer::{ModelInfer, Reply};
pub use service::Service;
pub use status::{is_grpc, log_and_shape, message_timeout, panicked, refused, unknown_call};

/// Full name of the protocol's gRPC service.
const SERVICE: &str = "inference.GRPCInferenceService";

/// What a call of the protocol's service is for; `None`: it tells the server's health, which everybody may know.
pub fn purpose(path: &str) -> Option<Purpose> {
    match path.strip_prefix("/inference.GRPCInferenceService/") {
        Some("ServerLive" | "ServerReady" | "ModelReady") => None,
        Some("RepositoryModelLoad" | "RepositoryModelUnload") => Some(Purpose::Admin),
        _ => Some(Purpose::Infer),
    }
}

/// Makes the protocol's service, except for [`ModelInfer`]. A message may have `max_message_bytes` after decompression.
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

/// Makes the service for the call `ModelInfer`. A message may have `max_message_bytes` after decompression.
pub fn model_infer(data_plane: Arc<DataPlane>, max_message_bytes: usize) -> ModelInfer {
    ModelInfer { service: Service { data_plane }, max_message_bytes }
}

/// Makes the service `grpc.health.v1`, which Kubernetes and load balancers use.
pub fn health(data_plane: Arc<DataPlane>) -> HealthServer<Health> {
    HealthServer::new(Health { data_plane })
}

/// Makes the reflection service in version `v1`, which newer clients use.
pub fn reflection() -> v1::ServerReflectionServer<impl v1::ServerReflection> {
    reflection_builder().build_v1().expect("the committed descriptors are consistent")
}

/// Makes the reflection service in version `v1alpha`, which older clients use.
pub fn reflection_alpha() -> v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection> {
    reflection_builder().build_v1alpha().expect("the committed descriptors are consistent")
}

fn reflection_builder() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
