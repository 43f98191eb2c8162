//! The protocol's gRPC service. Each call becomes a call of the data plane.

use std::{mem, sync::Arc, time::Duration};

use oip::{
    InferRequest, InferResponse,
    grpc::{
        TensorForm, decode_request, encode_response,
        messages::{
            InferTensorContents, ModelConfigRequest, ModelConfigResponse, ModelInferRequest,
            ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
            ModelReadyResponse, ModelStatisticsRequest, ModelStatisticsResponse, RepositoryIndexRequest,
            RepositoryIndexResponse, RepositoryModelLoadRequest, RepositoryModelLoadResponse,
            RepositoryModelUnloadRequest, RepositoryModelUnloadResponse, ServerLiveRequest,
            ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
            ServerReadyResponse,
        },
        server::GrpcInferenceService,
    },
};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    call_headers::{is_compressed, reply, timeout},
    extensions::{self, model_named_in},
    stream,
};
use crate::{
    error::{ErrorCode, ServeError},
    inference::{Call, Codec, DataPlane, EncodedSize},
    loading::ServedModel,
    telemetry::Protocol,
};

/// The protocol's gRPC service.
#[derive(Clone, Debug)]
pub struct Service {
    pub(super) data_plane: Arc<DataPlane>,
}

/// Reads a version. An empty text stands for the newest version.
fn version(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl Service {
    /// Serves an inference request within `timeout` or the server's own timeout, whichever is shorter. Empties the
    /// message.
    pub(super) async fn infer(
        &self,
        message: &mut ModelInferRequest,
        timeout: Option<Duration>,
    ) -> Result<ModelInferResponse, ServeError> {
        let (model, wanted) = (mem::take(&mut message.model_name), mem::take(&mut message.model_version));
        let call = Call { model: &model, version: version(&wanted), protocol: Protocol::Grpc, timeout };
        self.data_plane.infer(call, Message(message)).await
    }
}

/// The codec for gRPC messages.
struct Message<'a>(&'a mut ModelInferRequest);

impl Codec for Message<'_> {
    type Body = ModelInferRequest;
    type Form = TensorForm;
    type Reply = ModelInferResponse;

    async fn receive(self, _: &ServedModel) -> Result<ModelInferRequest, ServeError> {
        Ok(mem::take(self.0))
    }

    fn size(message: &ModelInferRequest) -> EncodedSize {
        let raw: usize = message.raw_input_contents.iter().map(bytes::Bytes::len).sum();
        let typed: usize =
            message.inputs.iter().filter_map(|input| input.contents.as_ref()).map(bytes_of_contents).sum();
        EncodedSize { text: 0, tensors: raw + typed }
    }

    fn decode(message: ModelInferRequest, _: &ServedModel) -> Result<(InferRequest, TensorForm), ServeError> {
        Ok(decode_request(message)?)
    }

    fn encode(response: InferResponse, form: TensorForm) -> Result<ModelInferResponse, ServeError> {
        Ok(encode_response(response, form))
    }
}

/// The bytes of a tensor's elements in the lists of the message.
fn bytes_of_contents(contents: &InferTensorContents) -> usize {
    let strings: usize = contents.bytes_contents.iter().map(bytes::Bytes::len).sum();
    contents.bool_contents.len()
        + 4 * (contents.int_contents.len() + contents.uint_contents.len() + contents.fp32_contents.len())
        + 8 * (contents.int64_contents.len() + contents.uint64_contents.len() + contents.fp64_contents.len())
        + strings
}

#[async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(reply(ServerLiveResponse { live: true }, false))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(reply(ServerReadyResponse { ready: self.data_plane.is_ready() }, false))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version: wanted } = request.into_inner();
        let ready = match self.data_plane.model(&name, version(&wanted)) {
            Ok(_) => true,
            Err(error) if error.code == ErrorCode::Unavailable => false,
            Err(error) => return Err(error.into()),
        };
        Ok(reply(ModelReadyResponse { ready }, false))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(reply(extensions::server_metadata(self.data_plane.server_metadata()), false))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version: wanted } = request.into_inner();
        let metadata = self.data_plane.model_metadata(&name, version(&wanted))?;
        Ok(reply(extensions::model_metadata(metadata), false))
    }

    // The router hands this call to `super::ModelInfer`, which reads the message in place. This method serves callers
    // of the trait.
    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let (compressed, timeout) = (is_compressed(request.metadata()), timeout(request.metadata().as_ref()));
        let answer = self.infer(&mut request.into_inner(), timeout).await?;
        Ok(reply(answer, compressed))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<stream::Replies>, Status> {
        let compressed = is_compressed(request.metadata());
        let (metadata, _, requests) = request.into_parts();
        let service = self.clone();
        // The stream's own `grpc-timeout` bounds the stream, not a request of it.
        let infer = move |mut request| {
            let service = service.clone();
            async move { service.infer(&mut request, None).await }
        };
        let answers = stream::replies(Arc::clone(&self.data_plane), infer, &metadata, requests);
        Ok(reply(answers, compressed))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let ModelConfigRequest { name, version: wanted } = request.into_inner();
        let config = self.data_plane.model_configuration(&name, version(&wanted))?;
        Ok(reply(ModelConfigResponse { config: Some(extensions::model_config(config)) }, false))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let ModelStatisticsRequest { name, version: wanted } = request.into_inner();
        let statistics = self.data_plane.model_statistics(version(&name), version(&wanted))?;
        let model_stats = statistics.into_iter().map(extensions::model_statistics).collect();
        Ok(reply(ModelStatisticsResponse { model_stats }, false))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let RepositoryIndexRequest { repository_name, ready } = request.into_inner();
        extensions::refuse_repository(&repository_name)?;
        let models = self.data_plane.repository_index(ready).into_iter().map(extensions::index_entry);
        Ok(reply(RepositoryIndexResponse { models: models.collect() }, false))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let RepositoryModelLoadRequest { repository_name, model_name, parameters } = request.into_inner();
        let model_name = model_named_in(repository_name, model_name)?;
        let parameters: Vec<&str> = parameters.keys().map(String::as_str).collect();
        self.data_plane.load_model(&model_name, &parameters).await?;
        Ok(reply(RepositoryModelLoadResponse { model_name, is_loaded: true }, false))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        let RepositoryModelUnloadRequest { repository_name, model_name, .. } = request.into_inner();
        let model_name = model_named_in(repository_name, model_name)?;
        self.data_plane.unload_model(&model_name).await?;
        Ok(reply(RepositoryModelUnloadResponse { model_name, is_unloaded: true }, false))
    }
}
