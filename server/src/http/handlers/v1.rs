//! The V1 protocol of `KServe` and TensorFlow Serving: `:predict`, and what its clients ask before it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use oip::v1;
use serde_json::json;
use tokio::time::Instant;

use super::{models::ModelPath, picture};
use crate::http::{AppState, body, reply};
use crate::{
    error::{ErrorCode, ServeError},
    inference::{Call, Inference},
    loading::ServedModel,
    platform::workers,
    telemetry::{Protocol, Stage},
};

const PREDICT: &str = "predict";
const EXPLAIN: &str = "explain";

/// Says that the server is there: what V1 clients take for its liveness.
pub(in crate::http) fn alive() -> Response {
    reply::json(json!({ "status": "alive" }))
}

/// Says whether a model answers.
pub(in crate::http) async fn status(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    match state.data_plane.model(&path.model, path.version.as_deref()) {
        Ok(model) => Ok(reply::json(json!({ "name": model.name.as_str(), "ready": true }))),
        Err(error) if error.code == ErrorCode::NotFound && Verb::of(path).is_some() => {
            Ok(not_allowed("POST", "this path takes POST"))
        }
        Err(error) => Err(error),
    }
}

/// Answers `{model}:predict`; the last colon of the path is the one before the verb.
pub(in crate::http) async fn act(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ServeError> {
    let Some(Verb { name, model, version }) = Verb::of(path) else {
        return Ok(not_allowed("GET,HEAD", "this path takes GET: to infer, post to '{model}:predict'"));
    };
    if name == EXPLAIN {
        state.data_plane.model(&model, version.as_deref())?;
        let message = format!("model '{model}' has no explainer: only ':predict' is served");
        return Err(ServeError::new(ErrorCode::Unimplemented, message));
    }
    let call =
        Call { model: &model, version: version.as_deref(), protocol: Protocol::V1, started: Instant::now() };
    let inference = state.data_plane.begin(call)?;
    let answer = predict(&inference, &state, query.as_deref(), body).await;
    inference.finish(answer)
}

/// What is asked of a model by the end of its path.
struct Verb {
    name: &'static str,
    model: String,
    version: Option<String>,
}

impl Verb {
    /// Splits the last segment of a path at its last colon; `None` where no verb follows that.
    fn of(path: ModelPath) -> Option<Self> {
        let ModelPath { model, version } = path;
        let (rest, verb) = version.as_deref().unwrap_or(&model).rsplit_once(':')?;
        let name = [PREDICT, EXPLAIN].into_iter().find(|name| *name == verb)?;
        let rest = rest.to_owned();
        Some(match version {
            Some(_) => Self { name, model, version: Some(rest) },
            None => Self { name, model: rest, version: None },
        })
    }
}

async fn predict(
    inference: &Inference<'_>,
    state: &AppState,
    query: Option<&str>,
    body: Body,
) -> Result<Response, ServeError> {
    let bytes = body::read(body, 0, state).await?;
    let model = &inference.model;
    let reading = model.metrics.time(Stage::Preprocess);
    let v1::Request { mut form, mut infer } = if workers::is_long_to_decode(bytes.len(), 0) {
        let model = Arc::clone(model);
        workers::run_blocking(move || decode(&bytes, &model)).await?
    } else {
        decode(&bytes, model)?
    };
    let has_pictures = model.pictures.as_ref().is_some_and(|pictures| pictures.are_in(&infer));
    if has_pictures {
        picture::heed(query, &mut infer)?;
    }
    let response = model.infer(infer, inference.deadline, reading).await?;
    if has_pictures && let (v1::Form::Rows(rows), [(_, first), ..]) = (&mut form, &response.outputs[..]) {
        *rows = first.rows().unwrap_or(*rows); // a picture may have several digits, a row each
    }
    let _writing = model.metrics.time(Stage::Postprocess);
    let body = v1::encode_response(&response, form)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

fn decode(body: &Bytes, model: &ServedModel) -> Result<v1::Request, ServeError> {
    let takes_pictures = |name: &str| model.pictures.as_ref().is_some_and(|own| own.input().name == name);
    let inputs = model.rules.signature.inputs.iter();
    let inputs: Vec<_> = inputs
        .map(|spec| v1::Input {
            name: &spec.name,
            datatype: spec.datatype,
            dims: spec.shape(),
            pictures: takes_pictures(&spec.name),
        })
        .collect();
    Ok(v1::decode_request(body, &inputs, model.nulls)?)
}

fn not_allowed(allowed: &'static str, message: &'static str) -> Response {
    let mut response = ServeError::new(ErrorCode::MethodNotAllowed, message).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
