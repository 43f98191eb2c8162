//! Which handler a path has. Requests for inference that need nothing of the router's do not pass through it.

use std::{mem, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, Uri, Version, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::Extensions;
use tower::{Service as _, ServiceBuilder, util::MapRequestLayer};
use tower_http::{CompressionLevel, compression::CompressionLayer, decompression::RequestDecompressionLayer};

use super::{
    AppState,
    connection::timer::BodyTimeout,
    handlers::{
        docs, feedback, health,
        infer::{self, Target},
        models, openapi, repository, ui, v1,
    },
    middleware::trace,
};
use crate::{
    error::{ErrorCode, ServeError},
    grpc,
};

/// The one call of the protocol that is about the speed of a model, not about the model.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Every path, and who answers there.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub(super) state: AppState,
    model_infer: grpc::ModelInfer,
    /// Whether there are more than gRPC calls.
    has_rest: bool,
    pub(super) router: Router,
}

impl Routes {
    /// Every path of the server, and every gRPC call.
    pub(super) fn all(state: AppState) -> Self {
        let model_infer = grpc::model_infer(Arc::clone(&state.data_plane), state.max_body_bytes);
        let router = rest(state.clone()).merge(grpc_calls(&state, model_infer.clone()));
        Self::new(state, model_infer, true, router)
    }

    /// gRPC calls and nothing else.
    pub(super) fn calls(state: AppState) -> Self {
        let model_infer = grpc::model_infer(Arc::clone(&state.data_plane), state.max_body_bytes);
        let router = grpc_calls(&state, model_infer.clone()).fallback(unknown_path);
        Self::new(state, model_infer, false, router)
    }

    fn new(state: AppState, model_infer: grpc::ModelInfer, has_rest: bool, router: Router) -> Self {
        let router = match state.traces.clone() {
            Some(traces) => router.layer(axum::middleware::from_fn_with_state(traces, trace::export)),
            None => router,
        };
        Self { state, model_infer, has_rest, router }
    }

    /// Answers a request, by the shortest way to who does. Its body is taken, or all of it: what is only lent takes no
    /// room in the futures on its way.
    pub(super) async fn answer(&self, request: &mut Request<Body>) -> Response {
        let body = mem::take(request.body_mut());
        let is_direct = self.state.traces.is_none() && *request.method() == Method::POST;
        if is_direct && request.uri().path() == MODEL_INFER {
            let body = BodyTimeout::new(body, self.state.body_read_timeout);
            return self.model_infer.answer(request.headers(), body).await.map(Body::new);
        }
        if is_direct
            && self.has_rest
            && !is_coded(request.headers())
            && let Some(mut target) = Target::of(request.uri().path())
        {
            target.query = request.uri().query();
            return infer::infer(&self.state, target, request.headers(), body).await.into_response();
        }
        *request.body_mut() = body;
        let Ok(response) = self.router.clone().call(mem::take(request)).await;
        response
    }
}

/// Whether the body is compressed, or the answer may be.
fn is_coded(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::ACCEPT_ENCODING)
}

fn grpc_calls(state: &AppState, model_infer: grpc::ModelInfer) -> Router {
    let inference = grpc::inference(Arc::clone(&state.data_plane), state.max_body_bytes);
    let infer = |request: Request<Body>| async move {
        let (head, body) = request.into_parts();
        model_infer.answer(&head.headers, body).await.map(Body::new)
    };
    let plane = || Arc::clone(&state.data_plane);
    // A stream may be idle for as long as it likes; a single message must arrive.
    let patience = state.body_read_timeout;
    let awaited = MapRequestLayer::new(move |request: Request<Body>| {
        request.map(|body| Body::new(BodyTimeout::new(body, patience)))
    });
    Router::new()
        .route_service("/inference.GRPCInferenceService/{call}", inference.clone())
        .route(MODEL_INFER, post(infer))
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
        .route("/v2/models/{model}/infer", post(infer::routed))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::routed))
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
        .route("/feedback", get(feedback::state).post(feedback::store))
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
        .route("/", get(ui::root))
        .route("/ui/{file}", get(ui::file))
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
