//! The road of a request for inference, from a body to a reply: the same for every wire.

use std::{sync::Arc, time::Duration};

use compact_str::CompactString;
use oip::{InferRequest, InferResponse};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Codec, DataPlane, EncodedSize, in_flight::InFlight};
use crate::{
    batcher::Answer,
    error::ServeError,
    loading::ServedModel,
    platform::workers,
    request::{
        classify::classify,
        preprocess::Pictures,
        schedule::Schedule,
        validate::{Selected, ValidRequest, select_outputs, validate},
    },
    telemetry::{Protocol, Stage, Timed, traces},
};

/// What is known of a request before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Version asked for; `None` for the newest that is ready.
    pub version: Option<&'a str>,
    /// By which protocol it came.
    pub protocol: Protocol,
    /// How long the client waits, where the head of the request says so.
    pub timeout: Option<Duration>,
}

/// What a request wants of its answer.
struct Wanted {
    id: Option<CompactString>,
    outputs: SmallVec<[Selected; 2]>,
}

impl DataPlane {
    /// Answers a request for inference: finds the model, receives and decodes the body, checks the request, has it run
    /// with others, and encodes what the model gave.
    ///
    /// # Errors
    /// There is no such model or it is not ready; the body cannot be read or decoded; the request does not fit the
    /// model; the queue is full; time runs out; ONNX Runtime fails; the answer cannot be written.
    pub async fn infer<C: Codec>(&self, call: Call<'_>, codec: C) -> Result<C::Reply, ServeError> {
        let started = Instant::now();
        let model =
            self.model(call.model, call.version).inspect_err(|error| self.metrics.rejected(error.code))?;
        traces::note("decima.model.name", &model.name);
        traces::note("decima.model.version", &model.version);
        let timeout = call.timeout.map_or(self.request_timeout, |own| own.min(self.request_timeout));
        let in_flight = InFlight::new(model, call.protocol, (started, started + timeout), &self.metrics);
        let answer = answer(&in_flight, codec).await;
        in_flight.finish(answer)
    }
}

async fn answer<C: Codec>(in_flight: &InFlight<'_>, codec: C) -> Result<C::Reply, ServeError> {
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
    let response = match model.pictures.as_ref().filter(|pictures| pictures.are_in(&request)) {
        // In a box of its own: there is no room for it in the future of every request.
        Some(pictures) => Box::pin(predict_pictures(model, pictures, request, deadline, reading)).await?,
        None => {
            drop(reading);
            let _timed = model.metrics.time(Stage::Predict);
            let (wanted, valid) = check(model, request)?;
            let answer = model.batcher.submit(valid, deadline).await?;
            response(model, wanted, answer)?
        }
    };
    let _writing = model.metrics.time(Stage::Postprocess);
    C::encode(response, form)
}

/// Answers a request with pictures. `reading` ends when they are tensors as the model takes them.
async fn predict_pictures(
    model: &ServedModel,
    pictures: &Pictures,
    mut request: InferRequest,
    deadline: Instant,
    reading: Timed,
) -> Result<InferResponse, ServeError> {
    let wishes = pictures.wishes(&mut request)?;
    // What is wrong beside the pictures is said before they are decoded.
    select_outputs(&request.outputs, &model.rules.signature)?;
    let own = Schedule::of(&request.parameters)?.timeout;
    let own = own.and_then(|timeout| Instant::now().checked_add(timeout));
    let deadline = own.map_or(deadline, |own| own.min(deadline));
    let added = pictures.prepare(&mut request, &wishes, deadline).await?;
    drop(reading);
    let _timed = model.metrics.time(Stage::Predict);
    let (wanted, valid) = check(model, request)?;
    let answer = model.batcher.submit(valid, deadline).await?;
    let mut response = response(model, wanted, answer)?;
    wishes.add(&mut response.outputs, added, pictures.input());
    Ok(response)
}

fn check(model: &ServedModel, mut request: InferRequest) -> Result<(Wanted, ValidRequest), ServeError> {
    let outputs = select_outputs(&request.outputs, &model.rules.signature)?;
    let id = request.id.take();
    Ok((Wanted { id, outputs }, validate(request, &model.rules)?))
}

/// Picks the outputs that the request asks for, as classes where it wants those.
fn response(model: &ServedModel, wanted: Wanted, answer: Answer) -> Result<InferResponse, ServeError> {
    let mut answer: Vec<_> = answer.into_iter().map(Some).collect();
    let outputs = wanted
        .outputs
        .into_iter()
        .map(|Selected { index, classes }| {
            let tensor = answer.get_mut(index).and_then(Option::take);
            let missing = || ServeError::internal(format!("the model gave no output {index}"));
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
