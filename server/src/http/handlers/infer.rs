//! Inference over HTTP: JSON, and the binary tensor extension.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Request, header},
    response::Response,
};
use bytes::Bytes;
use oip::{Encoded, InferRequest, InferResponse};
use tokio::time::Instant;

use super::{models::ModelPath, picture};
use crate::http::{AppState, body, pieces::Pieces};
use crate::{
    error::ServeError,
    inference::{Call, Inference},
    loading::ServedModel,
    platform::workers,
    request::preprocess::Wishes,
    telemetry::{Protocol, Stage},
};

/// Bytes of JSON before the binary tensors; without it the body is all JSON.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// Whom a request for inference is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Target<'a> {
    model: &'a str,
    version: Option<&'a str>,
    /// What follows the path.
    pub(in crate::http) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads it from a path that says it plainly; one with escapes is left to the router.
    pub(in crate::http) fn of(path: &'a str) -> Option<Self> {
        let name = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
        let is_plain = |segment: &str| !segment.is_empty() && !segment.contains(['/', '%']);
        let (model, version) = match name.split_once('/') {
            Some((model, rest)) => (model, Some(rest.strip_prefix("versions/")?)),
            None => (name, None),
        };
        (is_plain(model) && version.is_none_or(is_plain)).then_some(Self { model, version, query: None })
    }
}

/// Answers a request that came by the router.
pub(in crate::http) async fn routed(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    request: Request<Body>,
) -> Result<Response, ServeError> {
    let (head, body) = request.into_parts();
    let query = head.uri.query();
    let target = Target { model: &path.model, version: path.version.as_deref(), query };
    infer(&state, target, &head.headers, body).await
}

pub(in crate::http) async fn infer(
    state: &AppState,
    target: Target<'_>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ServeError> {
    let Target { model, version, query } = target;
    let inference =
        state.data_plane.begin(Call { model, version, protocol: Protocol::Rest, started: Instant::now() })?;
    let answer = answer(&inference, state, headers, query, body).await;
    inference.finish(answer)
}

async fn answer(
    inference: &Inference<'_>,
    state: &AppState,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
) -> Result<Response, ServeError> {
    let form = Form::of(headers)?;
    if matches!(form, Form::Picture) {
        return Box::pin(answer_picture(inference, state, query, body)).await;
    }
    let tensors = form.tensors();
    let bytes = body::read(body, tensors.unwrap_or(0), state).await?;
    let reading = inference.model.metrics.time(Stage::Preprocess);
    let text = tensors.map_or(bytes.len(), |begin| begin.min(bytes.len()));
    let request = if workers::is_long_to_decode(text, bytes.len() - text) {
        let model = Arc::clone(&inference.model);
        workers::run_blocking(move || decode(&bytes, form, &model)).await?
    } else {
        decode(&bytes, form, &inference.model)?
    };
    let binary = binary_outputs(&request, &inference.model);
    let response = inference.model.infer(request, inference.deadline, reading).await?;
    let _writing = inference.model.metrics.time(Stage::Postprocess);
    encode(&response, &binary)
}

async fn answer_picture(
    inference: &Inference<'_>,
    state: &AppState,
    query: Option<&str>,
    body: Body,
) -> Result<Response, ServeError> {
    let model = &inference.model;
    let pictures = picture::taken_by(model)?;
    let bytes = body::read(body, 0, state).await?;
    let reading = model.metrics.time(Stage::Preprocess);
    let mut request = if workers::is_long_to_decode(0, bytes.len()) {
        let model = Arc::clone(model);
        workers::run_blocking(move || picture::taken_by(&model).map(|pictures| pictures.request(&bytes)))
            .await?
    } else {
        pictures.request(&bytes)
    };
    picture::heed(query, &mut request)?;
    let response = model.infer(request, inference.deadline, reading).await?;
    let _writing = model.metrics.time(Stage::Postprocess);
    encode(&response, &[])
}

/// How the body is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// All JSON.
    Json,
    /// So many bytes of JSON, then tensors.
    Binary(usize),
    /// One tensor and nothing else.
    Raw,
    /// One encoded picture.
    Picture,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ServeError> {
        let Some(value) = headers.get(JSON_LENGTH) else {
            return Ok(if picture::is_announced(headers) { Self::Picture } else { Self::Json });
        };
        let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        match length {
            Some(0) => Ok(Self::Raw),
            Some(length) => Ok(Self::Binary(length)),
            None => Err(ServeError::invalid("Inference-Header-Content-Length must be a number of bytes")),
        }
    }

    /// After how many bytes of text the bytes of tensors begin, where there are any.
    fn tensors(self) -> Option<usize> {
        match self {
            Self::Json | Self::Picture => None,
            Self::Binary(json_length) => Some(json_length),
            Self::Raw => Some(0),
        }
    }
}

fn decode(body: &Bytes, form: Form, model: &ServedModel) -> Result<InferRequest, ServeError> {
    let request = match form {
        Form::Json | Form::Picture => oip::json::decode_request(body, model.nulls).map_err(ServeError::from),
        Form::Binary(json_length) => return Ok(oip::binary::decode_request(body, json_length, model.nulls)?),
        Form::Raw => raw(body, model),
    };
    request.map_err(|error| picture::or_unannounced(error, body))
}

fn raw(body: &Bytes, model: &ServedModel) -> Result<InferRequest, ServeError> {
    let [input] = model.rules.signature.required() else {
        let message = "a raw body (Inference-Header-Content-Length: 0) needs a model with one input";
        return Err(ServeError::invalid(message));
    };
    let mut dims = input.shape();
    if let Some(rows) = model.rules.input_rows(0) {
        dims[rows] = 1;
    }
    Ok(oip::binary::decode_raw(body, &input.name, input.datatype, &dims)?)
}

/// For each output of the answer, in its order, whether the client wants it as binary.
fn binary_outputs(request: &InferRequest, model: &ServedModel) -> Vec<bool> {
    let mut binary: Vec<bool> = if request.outputs.is_empty() {
        let outputs = &model.rules.signature.outputs;
        outputs.iter().map(|output| request.wants_binary(&output.name)).collect()
    } else {
        request.outputs.iter().map(|output| request.wants_binary(&output.name)).collect()
    };
    if model.pictures.as_ref().is_some_and(|pictures| pictures.are_in(request)) {
        // What is added without being named comes last, and is like what is not named.
        binary.resize(binary.len() + Wishes::MOST_ADDED, request.wants_binary(""));
    }
    binary
}

fn encode(response: &InferResponse, binary: &[bool]) -> Result<Response, ServeError> {
    let Encoded { pieces, json_length } = oip::encode_response(response, binary)?;
    let mut reply = Response::new(Body::new(Pieces::new(pieces)));
    let headers = reply.headers_mut();
    match json_length {
        None => headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        Some(length) => {
            headers.insert(JSON_LENGTH, HeaderValue::from(length));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        }
    };
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_name_their_model() {
        let target = |path| Target::of(path).map(|target| (target.model, target.version));
        assert_eq!(target("/v2/models/digits/infer"), Some(("digits", None)));
        assert_eq!(target("/v2/models/a.b-c/versions/12/infer"), Some(("a.b-c", Some("12"))));
        for other in [
            "/v2/models/digits",
            "/v2/models//infer",
            "/v2/models/infer",
            "/v2/models/my%20digits/infer",
            "/v2/models/digits/versions//infer",
            "/v2/models/digits/versions/1/2/infer",
            "/v2/models/digits/other/1/infer",
            "/v2/models/digits/infer/",
            "/v1/models/digits/infer",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
