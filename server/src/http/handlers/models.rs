//! Metadata and readiness of the server and its models.

use axum::{
    extract::{Path, State},
    response::Response,
};
use oip::ModelStatistics;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::ServeError,
    http::{AppState, reply},
};

/// The model in a path, and the version if the path has one.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ModelPath {
    pub(in crate::http) model: String,
    pub(in crate::http) version: Option<String>,
}

/// The response of the statistics extension.
#[derive(Debug, Serialize)]
struct AllStatistics {
    model_stats: Vec<ModelStatistics>,
}

pub(in crate::http) async fn server(State(state): State<AppState>) -> Response {
    reply::json(state.data_plane.server_metadata())
}

pub(in crate::http) async fn list(State(state): State<AppState>) -> Response {
    reply::json(json!({ "models": state.data_plane.model_names() }))
}

pub(in crate::http) async fn metadata(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    state.data_plane.model_metadata(&path.model, path.version.as_deref()).map(reply::json)
}

pub(in crate::http) async fn configuration(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    state.data_plane.model_configuration(&path.model, path.version.as_deref()).map(reply::json)
}

pub(in crate::http) async fn statistics(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    let statistics = state.data_plane.model_statistics(Some(&path.model), path.version.as_deref())?;
    Ok(reply::json(AllStatistics { model_stats: statistics }))
}

pub(in crate::http) async fn all_statistics(State(state): State<AppState>) -> Result<Response, ServeError> {
    let statistics = state.data_plane.model_statistics(None, None)?;
    Ok(reply::json(AllStatistics { model_stats: statistics }))
}

pub(in crate::http) async fn ready(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    let model = state.data_plane.model(&path.model, path.version.as_deref())?;
    Ok(reply::json(json!({ "name": model.name.as_str(), "ready": true })))
}
