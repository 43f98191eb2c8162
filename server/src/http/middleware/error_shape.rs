//! The shape of an answer: errors in the protocol's own, a panic an error too.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;

use crate::{
    error::ServeError,
    grpc,
    http::{Wire, reply},
};

/// The answer, with errors in the protocol's shape, and where the server panics an error too.
pub(in crate::http) async fn shaped(wire: Wire, answer: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => reply::shape_error(grpc::log_and_shape(response)),
        Err(panic) => panicked(wire, panic),
    }
}

fn panicked(wire: Wire, panic: Box<dyn Any + Send>) -> Response {
    if wire == Wire::Grpc {
        return grpc::log_and_shape(grpc::panicked(panic).map(Body::new));
    }
    ServeError::internal("the server failed on this request").into_response()
}
