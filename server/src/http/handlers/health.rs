//! Liveness, readiness and metrics.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    error::ServeError,
    http::{AppState, reply},
};

pub(in crate::http) async fn live() -> Response {
    reply::json(json!({ "live": true }))
}

/// Reports readiness. The body has both keys, since some clients read one and some the other.
pub(in crate::http) async fn ready(State(state): State<AppState>) -> Response {
    let ready = state.data_plane.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if ready {
        json!({ "live": true, "ready": true })
    } else {
        json!({ "live": true, "ready": false, "error": "not every model is ready, or the server is stopping" })
    };
    let mut response = (status, Json(body)).into_response();
    if !ready {
        let shaped = ServeError::new(crate::error::ErrorCode::Unavailable, "not ready");
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        response.extensions_mut().insert(shaped);
    }
    response
}

pub(in crate::http) async fn metrics(State(state): State<AppState>) -> Result<Response, ServeError> {
    let text = state.data_plane.render_metrics()?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
