//! Many requests over one stream.

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

/// Requests of one stream that are answered at the same time; the next ones wait on the client's side.
const STREAM_REQUESTS: usize = 64;

/// Answers in the order of the requests.
pub(super) type Replies = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;

/// How a stream's errors are told.
#[derive(Clone, Copy, Debug)]
enum Errors {
    /// As an answer with a message; the stream goes on.
    Message,
    /// As the stream's status, which ends it.
    Status,
}

/// Answers a stream's requests, each by `infer`, until it ends or the server is about to stop.
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
    // A client that still has requests learns that it must take them elsewhere.
    let farewell = stream::once(async move { stopped.is_draining() })
        .filter(|draining| ready(*draining))
        .map(|_| Err(Status::unavailable("the server is stopping: open the stream anew")));
    answers.chain(farewell).boxed()
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

/// Whether the client wants to be told which answer to a request is the last: here it is the only one.
fn wants_final_mark(parameters: &HashMap<String, InferParameter>) -> bool {
    let parameter = parameters.get("triton_enable_empty_final_response");
    matches!(
        parameter.and_then(|value| value.parameter_choice.as_ref()),
        Some(ParameterChoice::BoolParam(true))
    )
}
