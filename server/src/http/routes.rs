//! The routes: which handler serves which path. The paths of inference are matched here, before the router, since
//! routing would cost more than the rest of a short request.

use std::{mem, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::{MatchedPath, State},
    http::{Method, Request, Uri},
    middleware::{Next, from_fn, from_fn_with_state},
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
    access::{Access, Peer, Purpose},
    error::{ErrorCode, ServeError},
    grpc,
};

/// Path of the gRPC call for inference.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Serves requests by their paths.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub(super) state: AppState,
    model_infer: grpc::ModelInfer,
    /// Whether HTTP paths are served too, and not only gRPC calls.
    has_rest: bool,
    pub(super) router: Router,
}

impl Routes {
    /// Makes the routes of every HTTP path and every gRPC call.
    pub(super) fn all(state: AppState) -> Self {
        let router = rest(state.clone()).merge(grpc_calls(&state));
        Self::new(state, true, router)
    }

    /// Makes the routes of gRPC calls only.
    pub(super) fn calls(state: AppState) -> Self {
        let router = grpc_calls(&state).fallback(unknown_path);
        Self::new(state, false, router)
    }

    fn new(state: AppState, has_rest: bool, router: Router) -> Self {
        let model_infer = grpc::model_infer(Arc::clone(&state.data_plane), state.max_body_bytes);
        // With traces, the route becomes the name of the request's span.
        let router = if state.traces.is_some() { router.route_layer(from_fn(keep_route)) } else { router };
        Self { state, model_infer, has_rest, router }
    }

    /// Serves a request of `peer` by its path. Takes the body, or the whole request, out of `request`. The reference keeps the
    /// futures on the way small.
    pub(super) async fn serve(&self, wire: Wire, peer: Peer, request: &mut Request<Body>) -> Response {
        let body = mem::take(request.body_mut());
        if *request.method() == Method::POST {
            if request.uri().path() == MODEL_INFER {
                if let Err(refusal) = self.state.access.check_infer(request.headers()) {
                    return grpc::refused(refusal).map(Body::new);
                }
                let body = BodyTimeout::new(body, self.state.body_read_timeout);
                return self.model_infer.serve(request.headers(), body).await.map(Body::new);
            }
            if self.has_rest
                && let Some(mut target) = Target::of(request.uri().path())
            {
                if let Err(refusal) = self.state.access.check_infer(request.headers()) {
                    return refusal.into_response();
                }
                target.query = request.uri().query();
                return infer::infer(&self.state, target, request.headers(), body).await;
            }
        }
        *request.body_mut() = body;
        request.extensions_mut().insert((wire, peer));
        let Ok(response) = self.router.clone().call(mem::take(request)).await;
        response
    }

    /// Returns the route of a request that was served, by its path and its response; `None` if the path is unknown.
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

/// Tells what a request is for, by its method and path; `None`: it is for everybody.
type PurposeOf = fn(&Method, &str) -> Option<Purpose>;

/// Makes routes refuse what may not be served.
fn guarded(router: Router<AppState>, access: &Arc<Access>, purpose: PurposeOf) -> Router<AppState> {
    router.route_layer(from_fn_with_state((Arc::clone(access), purpose), refuse_or_serve))
}

async fn refuse_or_serve(
    State((access, purpose)): State<(Arc<Access>, PurposeOf)>,
    Extension((wire, peer)): Extension<(Wire, Peer)>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let checked = match purpose(request.method(), request.uri().path()) {
        Some(purpose) => access.check(purpose, peer, request.uri(), request.headers()),
        None => Ok(()),
    };
    match (checked, wire) {
        (Ok(()), _) => next.run(request).await,
        (Err(refusal), Wire::Rest) => refusal.into_response(),
        (Err(refusal), Wire::Grpc) => grpc::refused(refusal).map(Body::new),
    }
}

fn grpc_calls(state: &AppState) -> Router {
    let inference = grpc::inference(Arc::clone(&state.data_plane), state.max_body_bytes);
    let plane = || Arc::clone(&state.data_plane);
    // A stream may stay idle without a limit. A single message must arrive in time.
    let limit = state.body_read_timeout;
    let limited = MapRequestLayer::new(move |request: Request<Body>| {
        request.map(|body| Body::new(BodyTimeout::new(body, limit)))
    });
    let calls = Router::new()
        .route_service("/inference.GRPCInferenceService/{call}", inference.clone())
        .layer(limited.clone())
        .route_service("/inference.GRPCInferenceService/ModelStreamInfer", inference)
        .route_service("/grpc.reflection.v1.ServerReflection/{call}", grpc::reflection())
        .route_service("/grpc.reflection.v1alpha.ServerReflection/{call}", grpc::reflection_alpha());
    let health =
        Router::new().route_service("/grpc.health.v1.Health/{call}", grpc::health(plane())).layer(limited);
    guarded(calls, &state.access, |_, path| grpc::purpose(path)).merge(health).with_state(state.clone())
}

fn rest(state: AppState) -> Router {
    // Only inference compresses its responses (`handlers::infer`): some clients cannot decode other compressed
    // responses.
    let models = Router::new()
        .route(infer::ROUTE, post(infer::routed))
        .route(infer::VERSION_ROUTE, post(infer::routed))
        .route("/v2", get(models::server))
        .route("/v2/", get(models::server))
        .route("/v2/models", get(models::list))
        .route("/v2/models/stats", get(models::all_statistics))
        .route("/v2/models/{model}", get(models::metadata))
        .route("/v2/models/{model}/versions/{version}", get(models::metadata))
        .route("/v2/models/{model}/config", get(models::configuration))
        .route("/v2/models/{model}/versions/{version}/config", get(models::configuration))
        .route("/v2/models/{model}/stats", get(models::statistics))
        .route("/v2/models/{model}/versions/{version}/stats", get(models::statistics))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(v1::status).post(v1::post)) // "{model}:predict" is one segment
        .route("/v1/models/{model}/versions/{version}", get(v1::status).post(v1::post));
    let repository = Router::new()
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/{repository}/index", post(repository::refuse_named))
        .route("/feedback", get(feedback::state).post(feedback::store))
        .layer(RequestDecompressionLayer::new());
    let admin = Router::new()
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route("/v2/repository/models/{model}/unload", post(repository::unload))
        .route("/v2/repository/{repository}/models/{model}/load", post(repository::refuse_named))
        .route("/v2/repository/{repository}/models/{model}/unload", post(repository::refuse_named))
        .layer(RequestDecompressionLayer::new());
    let metrics = Router::new().route("/metrics", get(health::metrics));
    let for_everybody = Router::new()
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/models/{model}/ready", get(models::ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::ready))
        .route("/", get(ui::root))
        .route("/ui/{file}", get(ui::file))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(docs::page))
        .route("/docs/", get(docs::without_slash))
        .route("/docs/{part}", get(docs::part));
    let access = Arc::clone(&state.access);
    for_everybody
        .merge(guarded(models.merge(repository), &access, |method, path| {
            // V1 tells the readiness of a model by GET, below the path of its inference.
            (*method == Method::POST || !path.starts_with("/v1/models/")).then_some(Purpose::Infer)
        }))
        .merge(guarded(metrics, &access, |_, _| Some(Purpose::Metrics)))
        .merge(guarded(admin, &access, |_, _| Some(Purpose::Admin)))
        .fallback(unknown_path)
        .with_state(state)
}

async fn unknown_path(Extension((wire, _)): Extension<(Wire, Peer)>, uri: Uri) -> Response {
    if wire == Wire::Grpc {
        return grpc::unknown_call(uri.path()).map(Body::new);
    }
    let path: String = uri.path().chars().take(128).collect();
    ServeError::new(ErrorCode::NotFound, format!("unknown path '{path}'")).into_response()
}
