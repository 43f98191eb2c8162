//! Inference over HTTP: JSON, and the binary tensor extension.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use oip::{Encoded, InferRequest, InferResponse};
use tokio::time::Instant;

use super::{AppState, body, models::ModelPath};
use crate::{
    data_plane::{Call, Inference},
    error::ServeError,
    repository::ServedModel,
    telemetry::{Protocol, Stage},
};

/// Bytes of JSON before the binary tensors; without it the body is all JSON.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// A larger body is decoded where it may take its time: it would keep other connections waiting.
pub(super) const LONG_DECODE_BYTES: usize = 512 << 10;

pub(super) async fn infer(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServeError> {
    let call = Call {
        model: &path.model,
        version: path.version.as_deref(),
        protocol: Protocol::Rest,
        started: Instant::now(),
    };
    let inference = state.data_plane.begin(call)?;
    let answer = answer(&inference, &state, &headers, body).await;
    inference.finish(answer)
}

async fn answer(
    inference: &Inference<'_>,
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ServeError> {
    let form = Form::of(headers)?;
    let bytes = body::read(body, state).await?;
    let reading = inference.model.metrics.time(Stage::Preprocess);
    let request = if bytes.len() > LONG_DECODE_BYTES {
        tokio::task::block_in_place(|| decode(&bytes, form, &inference.model))?
    } else {
        decode(&bytes, form, &inference.model)?
    };
    let binary = binary_outputs(&request, &inference.model);
    drop(reading);
    let response = inference.model.infer(request, inference.deadline).await?;
    let _writing = inference.model.metrics.time(Stage::Postprocess);
    encode(&response, &binary)
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
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ServeError> {
        let Some(value) = headers.get(JSON_LENGTH) else { return Ok(Self::Json) };
        let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        match length {
            Some(0) => Ok(Self::Raw),
            Some(length) => Ok(Self::Binary(length)),
            None => Err(ServeError::invalid("Inference-Header-Content-Length must be a number of bytes")),
        }
    }
}

fn decode(body: &Bytes, form: Form, model: &ServedModel) -> Result<InferRequest, ServeError> {
    match form {
        Form::Json => Ok(oip::json::decode_request(body)?),
        Form::Binary(json_length) => Ok(oip::binary::decode_request(body, json_length)?),
        Form::Raw => raw(body, model),
    }
}

fn raw(body: &Bytes, model: &ServedModel) -> Result<InferRequest, ServeError> {
    let [input] = &model.rules.signature.inputs[..] else {
        let message = "a raw body (Inference-Header-Content-Length: 0) needs a model with one input";
        return Err(ServeError::invalid(message));
    };
    let mut dims = input.shape();
    if model.rules.batch_axis {
        dims[0] = 1;
    }
    Ok(oip::binary::decode_raw(body, &input.name, input.datatype, &dims)?)
}

/// For each output of the answer, in its order, whether the client wants it as binary.
fn binary_outputs(request: &InferRequest, model: &ServedModel) -> Vec<bool> {
    if request.outputs.is_empty() {
        let outputs = &model.rules.signature.outputs;
        return outputs.iter().map(|output| request.wants_binary(&output.name)).collect();
    }
    request.outputs.iter().map(|output| request.wants_binary(&output.name)).collect()
}

fn encode(response: &InferResponse, binary: &[bool]) -> Result<Response, ServeError> {
    let Encoded { body, json_length } =
        oip::encode_response(response, binary).map_err(|error| ServeError::invalid(error.to_string()))?;
    let mut reply = body.into_response();
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
