//! A gRPC client for tests that have no runtime of their own.

use std::future::Future;

use oip::grpc::client::GrpcInferenceServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// A connection, and the runtime that it lives on.
#[derive(Debug)]
pub(crate) struct Grpc {
    runtime: Runtime,
    /// The connection, for services other than inference.
    pub(crate) channel: Channel,
    /// The protocol's service.
    pub(crate) client: GrpcInferenceServiceClient<Channel>,
}

impl Grpc {
    /// Connects to `http://address`.
    pub(crate) fn connect(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        let client = GrpcInferenceServiceClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Self { runtime, channel, client }
    }

    /// Waits for a call.
    pub(crate) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }
}
