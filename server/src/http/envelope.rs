//! What every request passes through, once and around all routes: its id, its span, the line for its failure,
//! the shape of errors. As layers around each route they would cost boxes, copies and locks a request.

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderName, Request, Version},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tower::Service;
use tracing::{Instrument as _, Span};

use super::{
    listener::MAX_HEAD_BYTES,
    reply,
    routes::Routes,
    trace::{Line, NumberedRequests},
};
use crate::{error::ServeError, grpc};

/// The id of a request, the client's or else the server's, on its answer too.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Routes, and around them what every request passes through.
#[derive(Clone, Debug)]
pub struct Envelope(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: Routes,
    numbers: NumberedRequests,
}

impl Envelope {
    pub(super) fn new(routes: Routes) -> Self {
        Self(Arc::new(Inner { routes, numbers: NumberedRequests::default() }))
    }
}

impl Service<Request<Body>> for Envelope {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer(&self, mut request: Request<Body>) -> Response {
        let Self { routes, numbers } = self;
        let line = Line::of(&mut request, numbers);
        // Where nothing is said on the way, a span around it would be made for nothing.
        let is_followed = routes.state.traces.is_some() || tracing::enabled!(tracing::Level::DEBUG);
        let span = if is_followed { line.span() } else { Span::none() };
        let mut response = shaped_answer(routes, request).instrument(span.clone()).await;
        line.log(&response, span);
        response.headers_mut().entry(REQUEST_ID).or_insert(line.into_id());
        response
    }
}

async fn shaped_answer(routes: &Routes, request: Request<Body>) -> Response {
    if request.version() == Version::HTTP_2 && head_bytes(&request) > MAX_HEAD_BYTES {
        return reply::head_too_large();
    }
    let is_call = grpc::is_grpc(request.headers());
    shaped(is_call, routes.answer(request)).await
}

/// The size of a head as HTTP/2 counts it (RFC 9113, 6.5.2). Heads of HTTP/1.1 are measured where they are parsed.
fn head_bytes(request: &Request<Body>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    fields.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

/// The answer, with errors in the protocol's shape, and where the server panics an error too.
pub(super) async fn shaped(is_call: bool, answer: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => reply::shape_error(grpc::log_and_shape(response)),
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
    use super::*;

    fn broken() -> impl Future<Output = Response> {
        std::future::poll_fn(|_| panic!("a handler with a fault"))
    }

    #[tokio::test]
    async fn a_panic_is_an_error_in_json() {
        let response = shaped(false, broken()).await;
        assert_eq!(response.status().as_u16(), 500);
        let body = http_body_util::BodyExt::collect(response.into_body()).await.ok().unwrap().to_bytes();
        assert_eq!(body, r#"{"error":"the server failed on this request"}"#);
    }

    #[tokio::test]
    async fn a_panic_on_a_grpc_call_is_a_status() {
        let response = shaped(true, broken()).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["grpc-status"]),
            (200, &"13".parse().unwrap())
        );
    }
}
