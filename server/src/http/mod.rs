//! The protocol over HTTP: routes, and what every request passes through; gRPC calls among them.

mod body;
mod call;
mod docs;
mod envelope;
mod explained;
mod health;
mod hushed;
mod infer;
mod listener;
mod models;
mod openapi;
mod reply;
mod repository;
mod timer;
mod trace;
mod unread;
mod v1;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, Uri, Version, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::Extensions;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_http::{CompressionLevel, compression::CompressionLayer, decompression::RequestDecompressionLayer};

pub use envelope::Envelope;
pub use listener::{Listener, Phases};
use timer::Awaited;

use crate::{
    data_plane::DataPlane,
    error::{ErrorCode, ServeError},
    grpc,
    telemetry::Traces,
};

/// What handlers share.
#[derive(Clone, Debug)]
pub struct AppState {
    /// What the server does.
    pub data_plane: Arc<DataPlane>,
    /// Largest body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// Where requests are exported as traces, if anywhere.
    pub traces: Option<Traces>,
}

/// Every path of the server, and every gRPC call.
pub fn service(state: AppState) -> Envelope {
    let (grpc, traces) = (grpc_calls(&state), state.traces.clone());
    Envelope::new(rest(state).merge(grpc), traces)
}

/// gRPC calls and nothing else.
pub fn grpc_service(state: &AppState) -> Envelope {
    Envelope::new(grpc_calls(state).fallback(unknown_path), state.traces.clone())
}

fn grpc_calls(state: &AppState) -> Router {
    let plane = || Arc::clone(&state.data_plane);
    let inference = grpc::inference(plane(), state.max_body_bytes);
    // A stream may be idle for as long as it likes; a single message must arrive.
    let patience = state.body_read_timeout;
    let awaited = MapRequestLayer::new(move |request: Request<Body>| {
        request.map(|body| Body::new(Awaited::new(body, patience)))
    });
    Router::new()
        .route_service("/inference.GRPCInferenceService/{call}", inference.clone())
        .route_service("/grpc.health.v1.Health/{call}", grpc::health(plane()))
        .layer(awaited)
        .route_service("/inference.GRPCInferenceService/ModelStreamInfer", inference)
        .route_service("/grpc.reflection.v1.ServerReflection/{call}", grpc::reflection())
        .route_service("/grpc.reflection.v1alpha.ServerReflection/{call}", grpc::reflection_alpha())
}

fn rest(state: AppState) -> Router {
    // Only answers to inference are compressed: clients are known that decode nothing else.
    let compression =
        CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_worth_compressing);
    let inference = Router::new()
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer))
        .route("/v1/models/{model}", post(v1::act)) // "{model}:predict" is one segment
        .route("/v1/models/{model}/versions/{version}", post(v1::act))
        .layer(ServiceBuilder::new().layer(compression).layer(RequestDecompressionLayer::new()));
    let repository = Router::new()
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route("/v2/repository/models/{model}/unload", post(repository::unload))
        .route("/v2/repository/{repository}/index", post(repository::named))
        .route("/v2/repository/{repository}/models/{model}/load", post(repository::named))
        .route("/v2/repository/{repository}/models/{model}/unload", post(repository::named))
        .layer(RequestDecompressionLayer::new());
    Router::new()
        .route("/v2", get(models::server))
        .route("/v2/", get(models::server))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/models", get(models::list))
        .route("/v2/models/stats", get(models::all_statistics))
        .route("/v2/models/{model}", get(models::metadata))
        .route("/v2/models/{model}/versions/{version}", get(models::metadata))
        .route("/v2/models/{model}/ready", get(models::ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::ready))
        .route("/v2/models/{model}/config", get(models::configuration))
        .route("/v2/models/{model}/versions/{version}/config", get(models::configuration))
        .route("/v2/models/{model}/stats", get(models::statistics))
        .route("/v2/models/{model}/versions/{version}/stats", get(models::statistics))
        .route("/", get(v1::alive))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(v1::status))
        .route("/v1/models/{model}/versions/{version}", get(v1::status))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(docs::page))
        .route("/docs/app.js", get(docs::script))
        .route("/docs/style.css", get(docs::style))
        .merge(inference)
        .merge(repository)
        .fallback(unknown_path)
        .with_state(state)
}

async fn unknown_path(uri: Uri, headers: HeaderMap) -> Response {
    if grpc::is_grpc(&headers) {
        return grpc::unknown_call(uri.path()).map(Body::new);
    }
    let path: String = uri.path().chars().take(128).collect();
    ServeError::new(ErrorCode::NotFound, format!("unknown path '{path}'")).into_response()
}

fn is_worth_compressing(status: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    status == StatusCode::OK && !headers.contains_key(header::CONTENT_ENCODING)
}
