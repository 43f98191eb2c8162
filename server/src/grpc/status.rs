//! Conversion between errors and gRPC statuses, including the statuses that `tonic` makes itself.

use std::{any::Any, error::Error, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Response, header};
use tonic::{Code, Status, body::Body};

use crate::error::{ErrorCode, ServeError};

impl From<ServeError> for Status {
    fn from(error: ServeError) -> Self {
        let mut status = Self::new(Code::from_i32(error.code.grpc()), error.message.clone().into_owned());
        status.set_source(Arc::new(error));
        status
    }
}

/// Returns the error that a status was made from. For a status that `tonic` made, makes an error from its code.
pub(super) fn error_of(status: &Status) -> ServeError {
    if let Some(error) = status.source().and_then(|source| source.downcast_ref::<ServeError>()) {
        return error.clone();
    }
    let code = match status.code() {
        Code::OutOfRange => ErrorCode::PayloadTooLarge, // tonic's status for a message over the limit
        Code::Cancelled => ErrorCode::DeadlineExceeded,
        code => ErrorCode::of_grpc(code as i32),
    };
    ServeError::new(code, status.message().to_owned())
}

/// Returns whether a request is a gRPC call.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Makes the response to a call of an unknown service or method.
pub fn unknown_call(path: &str) -> Response<Body> {
    let path: String = path.chars().take(128).collect();
    Status::unimplemented(format!("unknown call '{path}'")).into_http()
}

/// Makes the response to a call on which the server panicked.
pub fn panicked(_panic: Box<dyn Any + Send>) -> Response<Body> {
    Status::internal("the server failed on this call").into_http()
}

/// Makes the error of a body whose message did not arrive within `limit`. It carries the gRPC status.
pub fn message_timeout(limit: Duration) -> Box<dyn Error + Send + Sync> {
    let message =
        format!("the message did not arrive within {} s (--body-read-timeout)", limit.as_secs_f64());
    Status::from(ServeError::new(ErrorCode::RequestTimeout, message)).into()
}

/// Completes a response: stores its error among the extensions, where the log finds it, and corrects the status of a
/// message over the limit. `tonic` reports `OUT_OF_RANGE` for it; other gRPC servers report `RESOURCE_EXHAUSTED`.
///
/// For a method that the service does not have, generated code sends a status without a message. This adds one.
pub fn log_and_shape<B>(mut response: Response<B>) -> Response<B> {
    let Some(status) = response.extensions().get::<Status>() else {
        if response.headers().get(Status::GRPC_STATUS).is_some_and(|code| code == "12") {
            const NO_SUCH_CALL: &str = "this service does not have the call";
            response.headers_mut().insert(Status::GRPC_MESSAGE, HeaderValue::from_static(NO_SUCH_CALL));
            response.extensions_mut().insert(ServeError::new(ErrorCode::Unimplemented, NO_SUCH_CALL));
        }
        return response;
    };
    let error = error_of(status);
    if error.code == ErrorCode::PayloadTooLarge {
        response.headers_mut().insert(Status::GRPC_STATUS, HeaderValue::from(error.code.grpc()));
    }
    response.extensions_mut().insert(error);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_name_that_grpc_gives_it() {
        for code in ErrorCode::ALL {
            let name = format!("{:?}", Code::from_i32(code.grpc())).to_uppercase();
            assert_eq!(code.grpc_name().replace('_', ""), name, "{code:?}");
        }
    }
}
