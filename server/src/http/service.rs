//! The steps that every request passes through, around all routes: CORS, request id, span, log line, traces, form of
//! errors. They are plain functions, since tower layers around each route would cost allocations, copies and locks per
//! request.

use std::{convert::Infallible, pin::pin, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Version},
    response::Response,
};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;
use tracing::{Instrument as _, Span};

use crate::{
    access::Peer,
    config::CorsOrigins,
    grpc,
    http::{
        Wire,
        connection::listener::{Listener, MAX_HEAD_BYTES, Phases},
        middleware::{
            cors,
            error_shape::shaped,
            trace::{self, NumberedRequests, REQUEST_ID, RequestLog},
        },
        reply,
        routes::Routes,
    },
    platform::workers::Workers,
};

/// The routes, with the steps that every request passes through.
#[derive(Clone, Debug)]
pub struct HttpService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: Routes,
    numbers: NumberedRequests,
    /// Set if web pages of other origins may send requests.
    cors: Option<CorsLayer>,
}

impl HttpService {
    pub(super) fn new(routes: Routes, cors: Option<&CorsOrigins>) -> Self {
        let cors = cors.map(cors::layer);
        Self(Arc::new(Inner { routes, numbers: NumberedRequests::default(), cors }))
    }

    /// Serves the connections of `listener`; see [`Listener::serve`].
    pub async fn serve(self, listener: Listener, phases: Phases, workers: Workers) {
        listener.serve(move |request, peer| self.clone().respond(request, peer), phases, workers).await;
    }

    /// Responds to a request of `peer`. Errors and panics become responses too.
    pub async fn respond(self, mut request: Request<Body>, peer: Peer) -> Response {
        if let Some(cors) = &self.0.cors
            && cors::is_for_layer(&request)
        {
            // Boxed, so that requests do not carry this large future if CORS is not set.
            return Box::pin(self.respond_across_origins(cors, request, peer)).await;
        }
        self.respond_and_log(&mut request, peer).await
    }

    async fn respond_across_origins(&self, cors: &CorsLayer, request: Request<Body>, peer: Peer) -> Response {
        let respond =
            |mut request| async move { Ok::<_, Infallible>(self.respond_and_log(&mut request, peer).await) };
        let Ok(response) = cors.layer(service_fn(respond)).oneshot(request).await;
        response
    }

    async fn respond_and_log(&self, request: &mut Request<Body>, peer: Peer) -> Response {
        let Inner { routes, numbers, .. } = &*self.0;
        let log = RequestLog::of(request, numbers);
        let is_traced = routes.state.traces.is_some();
        // If nothing is logged or traced before the response, the request needs no span.
        let needs_span = is_traced || tracing::enabled!(tracing::Level::DEBUG);
        let span = if needs_span { log.span() } else { Span::none() };
        let mut response = {
            let response = pin!(respond_within_limits(routes, request, peer, &log));
            response.instrument(span.clone()).await
        };
        log.log(&response, span);
        response.headers_mut().entry(REQUEST_ID).or_insert(log.into_id());
        response
    }
}

async fn respond_within_limits(
    routes: &Routes,
    request: &mut Request<Body>,
    peer: Peer,
    log: &RequestLog,
) -> Response {
    if request.version() == Version::HTTP_2 && head_bytes(request) > MAX_HEAD_BYTES {
        return reply::head_too_large();
    }
    let wire = if grpc::is_grpc(request.headers()) { Wire::Grpc } else { Wire::Rest };
    if let Some(traces) = &routes.state.traces {
        // Boxed, so that requests do not carry this large future if traces are off.
        return Box::pin(trace::export(traces, routes, (wire, peer), request, log)).await;
    }
    // Pinned here: passing it by value would store the future twice, and it is copied for each request.
    let response = pin!(routes.serve(wire, peer, request));
    shaped(wire, response).await
}

/// Returns the size of a request's headers as HTTP/2 counts it (RFC 9113, 6.5.2). hyper checks the size for HTTP/1.1
/// itself.
fn head_bytes(request: &Request<Body>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    fields.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, http::header, routing::post};

    use super::*;
    use crate::{http::AppState, inference::DataPlane, repository::Registry, telemetry::Metrics};

    async fn broken() {
        panic!("a handler with a fault");
    }

    async fn ask(content_type: &str) -> Response {
        let (registry, second) = (Arc::new(Registry::default()), Duration::from_secs(1));
        let data_plane = Arc::new(DataPlane::new(registry, Metrics::new().unwrap(), second));
        let state = AppState {
            data_plane,
            max_body_bytes: 1,
            body_read_timeout: second,
            traces: None,
            access: Arc::default(),
            ui: true,
        };
        let mut routes = Routes::all(state);
        routes.router = Router::new().route("/broken", post(broken));
        let request = Request::post("/broken").header(header::CONTENT_TYPE, content_type);
        let request = request.header("x-request-id", "7").body(Body::empty()).unwrap();
        HttpService::new(routes, None).respond(request, Peer::default()).await
    }

    #[tokio::test]
    async fn a_panic_is_an_error_in_json() {
        let response = ask("application/json").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-request-id"]),
            (500, &"7".parse().unwrap())
        );
        let body = http_body_util::BodyExt::collect(response.into_body()).await.ok().unwrap().to_bytes();
        assert_eq!(body, r#"{"error":"the server failed on this request"}"#);
    }

    #[tokio::test]
    async fn a_panic_on_a_grpc_call_is_a_status() {
        let response = ask("application/grpc").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["grpc-status"]),
            (200, &"13".parse().unwrap())
        );
    }
}
