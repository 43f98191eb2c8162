//! Corrections: pictures with their right labels.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::{
    error::{ErrorCode, ServeError},
    feedback::{Correction, Label, MAX_PICTURE_BYTES, Refusal},
    http::{AppState, body, reply},
    platform::workers,
};

/// Largest body in bytes: the largest picture in base64, and 64 KiB for the other members.
const MAX_BODY_BYTES: usize = MAX_PICTURE_BYTES.div_ceil(3) * 4 + (64 << 10);

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    version: Option<String>,
    picture: String,
    label: LabelValue,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the label as a string, or the class's index")]
enum LabelValue {
    Name(String),
    Index(u64),
}

/// Where corrections are off, that is a response and no error, so that the page can ask without an error in its console.
pub(in crate::http) async fn state(State(state): State<AppState>) -> Response {
    reply::json(json!({ "enabled": state.data_plane.feedback().is_ok() }))
}

pub(in crate::http) async fn store(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match stored(&state, &headers, body).await {
        Ok(stored) => (StatusCode::CREATED, axum::Json(json!({ "stored": stored }))).into_response(),
        Err(Refusal { error, wait }) => {
            let mut response = error.into_response();
            if let Some(wait) = wait {
                let seconds = HeaderValue::from(wait.as_secs_f64().ceil() as u64);
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    }
}

async fn stored(state: &AppState, headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    state.data_plane.feedback()?;
    let correction = read(state, headers, body).await;
    let correction = correction.inspect_err(|error| state.data_plane.count_refused_feedback(error.code))?;
    state.data_plane.store_feedback(correction).await
}

async fn read(state: &AppState, headers: &HeaderMap, body: Body) -> Result<Correction, ServeError> {
    check_type(headers)?;
    let bytes = body::read_at_most(body, 0, MAX_BODY_BYTES, "the limit of this path", state).await?;
    if workers::is_long_to_decode(bytes.len(), 0) {
        workers::run_blocking(move || decode(&bytes)).await
    } else {
        decode(&bytes)
    }
}

/// Accepts JSON only. A browser sends forms and plain text from pages of any origin, but JSON only after a preflight
/// request. So `--cors-origins` decides which pages may store corrections.
fn check_type(headers: &HeaderMap) -> Result<(), ServeError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "a correction must come with Content-Type: application/json";
    Err(ServeError::new(ErrorCode::UnsupportedEncoding, message))
}

fn decode(bytes: &[u8]) -> Result<Correction, ServeError> {
    let request: Request = serde_json::from_slice(bytes).map_err(|error| {
        ServeError::invalid(format!(
            "the body is wrong: {error}; expected {{\"model\": …, \"version\": …, \"picture\": \"<base64>\", \"label\": …}}"
        ))
    })?;
    let picture = oip::decode_base64(request.picture.as_bytes())
        .map_err(|error| ServeError::invalid(format!("'picture': {error}")))?;
    let label = match request.label {
        LabelValue::Name(name) => Label::Name(name),
        LabelValue::Index(index) => Label::Index(index),
    };
    Ok(Correction { model: request.model, version: request.version, label, picture: Bytes::from(picture) })
}
