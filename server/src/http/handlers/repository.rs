//! The model repository extension: the index, loading and unloading.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::json;

use super::models::ModelPath;
use crate::error::{ErrorCode, ServeError};
use crate::http::{AppState, body, reply};

/// Largest body in bytes. Requests are short; a larger one has model files, which this server does not accept.
const MAX_BODY_BYTES: usize = 64 << 10;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IndexRequest {
    ready: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ControlRequest {
    #[expect(clippy::zero_sized_map_values, reason = "only the names of the parameters matter")]
    parameters: Option<BTreeMap<String, IgnoredAny>>,
}

impl ControlRequest {
    fn parameters(&self) -> Vec<&str> {
        match &self.parameters {
            Some(parameters) => parameters.keys().map(String::as_str).collect(),
            None => Vec::new(),
        }
    }
}

pub(in crate::http) async fn index(
    State(state): State<AppState>,
    body: Body,
) -> Result<Response, ServeError> {
    let request: IndexRequest = read(body, &state).await?;
    Ok(reply::json(state.data_plane.repository_index(request.ready)))
}

pub(in crate::http) async fn load(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    body: Body,
) -> Result<Response, ServeError> {
    let request: ControlRequest = read(body, &state).await?;
    state.data_plane.load_model(&path.model, &request.parameters()).await?;
    Ok(reply::json(json!({ "name": path.model, "load": true })))
}

pub(in crate::http) async fn unload(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    body: Body,
) -> Result<Response, ServeError> {
    read::<ControlRequest>(body, &state).await?;
    state.data_plane.unload_model(&path.model).await?;
    Ok(reply::json(json!({ "name": path.model, "unload": true })))
}

pub(in crate::http) async fn refuse_named() -> ServeError {
    let message = "repositories have no names here: leave the name out of the path";
    ServeError::new(ErrorCode::Unimplemented, message)
}

/// Reads a JSON body, which may be empty.
async fn read<T: Default + DeserializeOwned>(body: Body, state: &AppState) -> Result<T, ServeError> {
    let bytes = body::read_at_most(body, 0, MAX_BODY_BYTES, "the limit of this path", state).await?;
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Ok(T::default());
    }
    if !text.starts_with(b"{") {
        return Err(ServeError::invalid("the body must be empty or a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| ServeError::invalid(format!("the body is wrong: {error}")))
}
