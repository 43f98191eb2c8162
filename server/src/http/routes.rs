//! Which handler a path has. The two paths of inference are matched here: what the router does for a path costs more
//! than the rest of a short request.

use std::{mem, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::MatchedPath,
    http::{Method, Request, Uri},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower::{Service as _, util::MapRequestLayer};
use tower_http::decompression::RequestDecompressionLayer;

use super::{
    AppState, Wire,
    connection::timer::BodyTimeout,
    handlers::{
        docs, feedback, health,
        infer::{self, Target},
        models, openapi, repository, ui, v1,
    },
};
use crate::{
    error::{ErrorCode, ServeError},
    grpc,
};

/// The call for inference.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Every path, and what serves it.
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
        let router = rest(state.clone()).merge(grpc_calls(&state));
        Self::new(state, true, router)
    }

    /// gRPC calls and nothing else.
    pub(super) fn calls(state: AppState) -> Self {
        let router = grpc_calls(&state).fallback(unknown_path);
        Self::new(state, false, router)
    }

    fn new(state: AppState, has_rest: bool, router: Router) -> Self {
        let model_infer = grpc::model_infer(Arc::clone(&state.data_plane), state.max_body_bytes);
        // The route names the span of a request that is traced.
        let router = if state.traces.is_some() { router.route_layer(from_fn(keep_route)) } else { router };
        Self { state, model_infer, has_rest, router }
    }

    /// Has a request served by what its path says. Its body is taken, or all of it: what is only lent takes no room in
    /// the futures on its way.
    pub(super) async fn serve(&self, wire: Wire, request: &mut Request<Body>) -> Response {
        let body = mem::take(request.body_mut());
        if *request.method() == Method::POST {
            if request.uri().path() == MODEL_INFER {
                let body = BodyTimeout::new(body, self.state.body_read_timeout);
                return self.model_infer.serve(request.headers(), body).await.map(Body::new);
            }
            if self.has_rest
                && let Some(mut target) = Target::of(request.uri().path())
            {
                target.query = request.uri().query();
                return infer::infer(&self.state, target, request.headers(), body).await;
            }
        }
        *request.body_mut() = body;
        request.extensions_mut().insert(wire);
        let Ok(response) = self.router.clone().call(mem::take(request)).await;
        response
    }

    /// The route of a request that was served, given its path before; `None` where there is no such path.
    pub(super) fn route<'a>(path: &'a str, response: &'a Response) -> Option<&'a str> {
        let routed = || response.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if path == MODEL_INFER {
            Some(MODEL_INFER)
        } else {
            routed().or_else(|| Some(Target::of(path)?.route()))
        }
    }
}

async fn keep_route(route: MatchedPath, request: Request<Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(route);
    response
}

fn grpc_calls(state: &AppState) -> Router {
    let inference = grpc::inference(Arc::clone(&state.data_plane), state.max_body_bytes);
    let plane = || Arc::clone(&state.data_plane);
    // A stream may be idle for as long as it likes; a single message must arrive.
    let limit = state.body_read_timeout;
    let limited = MapRequestLayer::new(move |request: Request<Body>| {
        request.map(|body| Body::new(BodyTimeout::new(body, limit)))
    });
    Router::new()
        .route_service("/inference.GRPCInferenceService/{call}", inference.clone())
        .route_service("/grpc.health.v1.Health/{call}", grpc::health(plane()))
        .layer(limited)
        .route_service("/inference.GRPCInferenceService/ModelStreamInfer", inference)
        .route_service("/grpc.reflection.v1.ServerReflection/{call}", grpc::reflection())
        .route_service("/grpc.reflection.v1alpha.ServerReflection/{call}", grpc::reflection_alpha())
}

fn rest(state: AppState) -> Router {
    // Only inference takes content coding off and puts it on (handlers::infer): clients are known that decode no other
    // answers.
    let inference = Router::new()
        .route(infer::ROUTE, post(infer::routed))
        .route(infer::VERSION_ROUTE, post(infer::routed))
        .route("/v1/models/{model}", post(v1::act)) // "{model}:predict" is one segment
        .route("/v1/models/{model}/versions/{version}", post(v1::act));
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
        .route("/docs/", get(docs::without_slash))
        .route("/docs/{file}", get(docs::part))
        .merge(inference)
        .merge(repository)
        .fallback(unknown_path)
        .with_state(state)
}

async fn unknown_path(Extension(wire): Extension<Wire>, uri: Uri) -> Response {
    if wire == Wire::Grpc {
        return grpc::unknown_call(uri.path()).map(Body::new);
    }
    let path: String = uri.path().chars().take(128).collect();
    ServeError::new(ErrorCode::NotFound, format!("unknown path '{path}'")).into_response()
}
