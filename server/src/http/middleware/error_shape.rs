//! The form of responses: errors follow the protocol, and a panic becomes an error.

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

/// Awaits a response. Gives errors the protocol's form, and turns a panic into an error response.
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
