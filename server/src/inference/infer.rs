//! The path of an inference request from its body to its response, the same for every wire format.

use std::{sync::Arc, time::Duration};

use compact_str::CompactString;
use oip::{InferRequest, InferResponse};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Codec, DataPlane, EncodedSize, deadline::Deadline, in_flight::InFlight};
use crate::{
    batcher::Answer,
    error::ServeError,
    loading::ServedModel,
    platform::workers,
    request::{
        classify::{classify, winner::winners},
        preprocess::Pictures,
        schedule::Schedule,
        validate::{Selected, ValidRequest, select_outputs, validate},
    },
    telemetry::{Protocol, Stage, Timed, traces},
};

/// What is known of a request before its body is decoded. A gRPC message has been read by then, since it names the
/// model.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// The requested version; `None` for the newest that is ready.
    pub version: Option<&'a str>,
    /// The protocol of the request.
    pub protocol: Protocol,
    /// How long the client waits, if the request's headers say so.
    pub timeout: Option<Duration>,
}

/// What a request wants in its response.
struct Wanted {
    id: Option<CompactString>,
    outputs: SmallVec<[Selected; 2]>,
}

impl DataPlane {
    /// Serves an inference request: finds the model, receives and decodes the body, validates the request, submits it
    /// to the batcher, and encodes the outputs.
    ///
    /// # Errors
    /// There is no such model, or it is not ready; the body cannot be read or decoded; the request does not fit the
    /// model; the queue is full; the timeout passes; ONNX Runtime fails; or the response cannot be encoded.
    pub async fn infer<C: Codec>(&self, call: Call<'_>, codec: C) -> Result<C::Reply, ServeError> {
        let started = Instant::now();
        let model =
            self.model(call.model, call.version).inspect_err(|error| self.metrics.rejected(error.code))?;
        traces::note("decima.model.name", &model.name);
        traces::note("decima.model.version", &model.version);
        let deadline = Deadline::new(started, self.request_timeout, call.timeout);
        let in_flight = InFlight::new(model, call.protocol, (started, deadline), &self.metrics);
        let response = serve(&in_flight, codec).await;
        in_flight.finish(response)
    }
}

/// Longest id of a request in bytes. The response repeats it.
const MAX_ID: usize = 256;

async fn serve<C: Codec>(in_flight: &InFlight<'_>, codec: C) -> Result<C::Reply, ServeError> {
    let (model, deadline) = (&in_flight.model, in_flight.deadline);
    let body = codec.receive(model).await?;
    let reading = model.metrics.time(Stage::Preprocess);
    let EncodedSize { text, tensors } = C::size(&body);
    let (request, form) = if workers::is_long_to_decode(text, tensors) {
        let model = Arc::clone(model);
        workers::run_blocking(move || C::decode(body, &model)).await?
    } else {
        C::decode(body, model)?
    };
    let pictures = model.pictures.as_ref().filter(|pictures| pictures.are_in(&request));
    let response = if let Some(pictures) = pictures {
        // Boxed, so that requests without pictures do not carry this large future.
        Box::pin(predict_pictures(model, pictures, request, deadline, reading)).await?
    } else {
        predict(model, request, deadline, reading).await?
    };
    let _writing = model.metrics.time(Stage::Postprocess);
    C::encode(response, form)
}

/// Serves a request with pictures. `reading` ends when the pictures have become the model's input tensor.
async fn predict_pictures(
    model: &ServedModel,
    pictures: &Pictures,
    mut request: InferRequest,
    deadline: Deadline,
    reading: Timed,
) -> Result<InferResponse, ServeError> {
    let options = pictures.options(&mut request)?;
    // Checks everything else before it decodes the pictures, which takes long.
    select_outputs(&request.outputs, &model.rules.signature)?;
    let deadline = deadline.with_parameter(Schedule::of(&request.parameters)?.timeout);
    let added = pictures.prepare(&mut request, &options, deadline.at).await;
    let added = added.map_err(|error| deadline.name_in(error, None))?;
    let mut response = predict(model, request, deadline, reading).await?;
    options.add(&mut response.outputs, added, pictures.input());
    Ok(response)
}

/// Validates a request, has the batcher run it, and selects its outputs. `reading` ends here.
async fn predict(
    model: &ServedModel,
    request: InferRequest,
    deadline: Deadline,
    reading: Timed,
) -> Result<InferResponse, ServeError> {
    drop(reading);
    let _timed = model.metrics.time(Stage::Predict);
    let (wanted, valid) = check(model, request)?;
    let timeout = valid.schedule.timeout;
    let answer = model.batcher.submit(valid, deadline.at).await;
    let answer = answer.map_err(|error| deadline.name_in(error, timeout))?;
    count_predictions(model, &answer);
    response(model, wanted, answer)
}

/// Counts which class wins in each row, also where the request asked for other outputs.
fn count_predictions(model: &ServedModel, answer: &Answer) {
    if let Some((output, metrics)) = &model.predictions
        && let Some(scores) = answer.get(*output)
    {
        winners(scores, model.labels.len(), |class, score| metrics.count(class, score));
    }
}

fn check(model: &ServedModel, mut request: InferRequest) -> Result<(Wanted, ValidRequest), ServeError> {
    let outputs = select_outputs(&request.outputs, &model.rules.signature)?;
    let id = request.id.take();
    if let Some(id) = &id
        && id.len() > MAX_ID
    {
        let message = format!("the id has {} bytes, and at most {MAX_ID} are allowed", id.len());
        return Err(ServeError::invalid(message));
    }
    Ok((Wanted { id, outputs }, validate(request, &model.rules)?))
}

/// Selects the requested outputs, and turns them into classes where the request asks for that.
fn response(model: &ServedModel, wanted: Wanted, answer: Answer) -> Result<InferResponse, ServeError> {
    let mut answer: Vec<_> = answer.into_iter().map(Some).collect();
    let outputs = wanted
        .outputs
        .into_iter()
        .map(|Selected { index, classes }| {
            let tensor = answer.get_mut(index).and_then(Option::take);
            let missing = || ServeError::internal(format!("the model returned no output {index}"));
            let mut tensor = tensor.ok_or_else(missing)?;
            if let Some(count) = classes {
                let has_rows = model.rules.output_rows(index) == Some(0);
                tensor = classify(&tensor, has_rows, count, &model.labels);
            }
            Ok((model.rules.signature.outputs[index].name.clone(), tensor))
        })
        .collect::<Result<_, ServeError>>()?;
    let (model_name, model_version) = (model.name.clone(), model.version.clone());
    Ok(InferResponse { model_name, model_version, id: wanted.id, outputs })
}
