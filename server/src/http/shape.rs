//! The shape of an answer: errors in the protocol's own, a panic an error too.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;

use super::reply;
use crate::{error::ServeError, grpc};

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
