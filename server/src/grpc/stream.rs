//! The call `ModelStreamInfer`: many requests and responses over one stream.

use std::{
    collections::HashMap,
    future::{Future, ready},
    sync::Arc,
};

use futures_util::{FutureExt, StreamExt, stream, stream::BoxStream};
use oip::grpc::messages::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
    infer_parameter::ParameterChoice,
};
use tonic::{Status, Streaming, metadata::MetadataMap};

use crate::{error::ServeError, inference::DataPlane};

/// Most requests of one stream that run at the same time. Further ones are not read yet, so that flow control makes the
/// client wait.
const STREAM_REQUESTS: usize = 64;

/// Responses in the order of the requests.
pub(super) type Replies = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;

/// How a stream reports errors.
#[derive(Clone, Copy, Debug)]
enum Errors {
    /// As a response with an error message. The stream goes on.
    Message,
    /// As the stream's status, which ends it.
    Status,
}

/// Serves a stream's requests, each by `infer`, until the stream ends or the server is draining.
pub(super) fn replies<A>(
    data_plane: Arc<DataPlane>,
    infer: impl Fn(ModelInferRequest) -> A + Clone + Send + 'static,
    metadata: &MetadataMap,
    requests: Streaming<ModelInferRequest>,
) -> Replies
where
    A: Future<Output = Result<ModelInferResponse, ServeError>> + Send + 'static,
{
    let as_status = metadata.get("triton_grpc_error").is_some_and(|value| value == "true");
    let errors = if as_status { Errors::Status } else { Errors::Message };
    let (stop, stopped) = (Arc::clone(&data_plane), data_plane);
    let answers = requests
        .take_until(async move { stop.draining().await }.boxed())
        .map(move |request| {
            let infer = infer.clone();
            async move { reply_to(infer, request?, errors).await }
        })
        .buffered(STREAM_REQUESTS);
    // Tells a client with further requests that it must open another stream.
    let stop_notice = stream::once(async move { stopped.is_draining() })
        .filter(|draining| ready(*draining))
        .map(|_| Err(Status::unavailable("the server is stopping: open the stream anew")));
    answers.chain(stop_notice).boxed()
}

async fn reply_to<A>(
    infer: impl Fn(ModelInferRequest) -> A,
    request: ModelInferRequest,
    errors: Errors,
) -> Result<ModelStreamInferResponse, Status>
where
    A: Future<Output = Result<ModelInferResponse, ServeError>>,
{
    let (id, model_name, model_version) =
        (request.id.clone(), request.model_name.clone(), request.model_version.clone());
    let marks_last = wants_final_mark(&request.parameters);
    match (infer(request).await, errors) {
        (Ok(mut response), _) => {
            if marks_last {
                let mark = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
                response.parameters.insert("triton_final_response".to_owned(), mark);
            }
            Ok(ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) })
        }
        (Err(error), Errors::Message) => {
            let infer_response =
                Some(ModelInferResponse { id, model_name, model_version, ..ModelInferResponse::default() });
            Ok(ModelStreamInferResponse { error_message: error.message.into_owned(), infer_response })
        }
        (Err(error), Errors::Status) => Err(error.into()),
    }
}

/// Returns whether the client wants the last response to each request to be marked. Here each request has one response.
fn wants_final_mark(parameters: &HashMap<String, InferParameter>) -> bool {
    let parameter = parameters.get("triton_enable_empty_final_response");
    matches!(
        parameter.and_then(|value| value.parameter_choice.as_ref()),
        Some(ParameterChoice::BoolParam(true))
    )
}
