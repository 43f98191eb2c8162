//! What every request passes through, once and around all routes: its id, its span, the line for its failure,
//! the shape of errors. Around each route it would cost a boxed future and a boxed service a layer.

use std::{
    any::Any,
    convert::Infallible,
    future::{Future, ready},
    panic::AssertUnwindSafe,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Version},
    middleware,
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tower::{Layer as _, Service};
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{PropagateRequestId, PropagateRequestIdLayer, SetRequestId, SetRequestIdLayer},
    trace::Trace,
};

use super::{
    listener::MAX_HEAD_BYTES,
    reply,
    trace::{self, LogFailure, NumberedRequests, RequestSpan},
};
use crate::{error::ServeError, grpc, telemetry::Traces};

type Classifier = SharedClassifier<ServerErrorsAsFailures>;
type Traced = Trace<PropagateRequestId<Shaped>, Classifier, RequestSpan, (), LogFailure, (), (), ()>;

/// Routes, and around them what every request passes through.
#[derive(Clone, Debug)]
pub struct Envelope(SetRequestId<Traced, NumberedRequests>);

impl Envelope {
    /// Where there are `traces`, with a span for the collector around every request; else with nothing at all.
    pub(super) fn new(router: Router, traces: Option<Traces>) -> Self {
        let router = match traces {
            Some(traces) => router.layer(middleware::from_fn_with_state(traces, trace::export)),
            None => router,
        };
        let named = PropagateRequestIdLayer::x_request_id().layer(Shaped(router));
        let logged = trace::layer().layer(named);
        Self(SetRequestIdLayer::x_request_id(NumberedRequests::default()).layer(logged))
    }
}

impl Service<Request<Body>> for Envelope {
    type Response = <Traced as Service<Request<Body>>>::Response;
    type Error = Infallible;
    type Future = <SetRequestId<Traced, NumberedRequests> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

/// Routes whose errors have the shape of the request's protocol.
#[derive(Clone, Debug)]
pub struct Shaped(Router);

impl Service<Request<Body>> for Shaped {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // a router always is
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.version() == Version::HTTP_2 && head_bytes(&request) > MAX_HEAD_BYTES {
            return Box::pin(ready(Ok(reply::head_too_large())));
        }
        let mut router = self.0.clone();
        let is_call = grpc::is_grpc(request.headers());
        Box::pin(async move { Ok(shaped(is_call, async move { router.call(request).await }).await) })
    }
}

/// The size of a head as HTTP/2 counts it (RFC 9113, 6.5.2). Heads of HTTP/1.1 are measured where they are parsed.
fn head_bytes(request: &Request<Body>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    fields.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

/// The answer, with errors in the protocol's shape, and where the server panics an error too.
pub(super) async fn shaped<F>(is_call: bool, answer: F) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => reply::shape_error(grpc::log_and_shape(response)),
        Err(panic) => panicked(is_call, panic),
    }
}

fn panicked(is_call: bool, panic: Box<dyn Any + Send>) -> Response {
    if is_call {
        return grpc::log_and_shape(grpc::panicked(panic).map(Body::new));
    }
    ServeError::internal("the server failed on this request").into_response()
}

#[cfg(test)]
mod tests {
    use axum::{http::header, routing::post};
    use tower::ServiceExt as _;

    use super::*;

    async fn broken() {
        panic!("a handler with a fault");
    }

    async fn ask(content_type: &str) -> http::Response<impl http_body::Body<Data = bytes::Bytes>> {
        let router = Router::new().route("/broken", post(broken));
        let request = Request::post("/broken").header(header::CONTENT_TYPE, content_type);
        let request = request.header("x-request-id", "7").body(Body::empty()).unwrap();
        Envelope::new(router, None).oneshot(request).await.unwrap()
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
