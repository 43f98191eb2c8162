//! Conversion between errors and gRPC statuses, including the statuses that `tonic` makes itself.

use std::{any::Any, error::Error, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Response, header};
use tonic::{Code, Status, body::Body};

use crate::error::{ErrorCode, ServeError};

/// Longest message of a status in bytes, as it is encoded in a header. Many clients refuse more than 8 KiB of headers.
const MAX_MESSAGE: usize = 2 << 10;

impl From<ServeError> for Status {
    fn from(error: ServeError) -> Self {
        let mut status = Self::new(Code::from_i32(error.code.grpc()), shortened(&error.message));
        status.set_source(Arc::new(error));
        status
    }
}

/// Shortens a message to what fits into a header. Headers have most characters other than letters and digits as `%XX`.
fn shortened(message: &str) -> String {
    const MORE: &str = " ...";
    let bytes_in_header = |byte: u8| if byte.is_ascii_alphanumeric() { 1 } else { 3 };
    let mut left = MAX_MESSAGE - 3 * MORE.len();
    let end = message.bytes().position(|byte| {
        let fits = left.checked_sub(bytes_in_header(byte));
        left = fits.unwrap_or_default();
        fits.is_none()
    });
    match end {
        None => message.to_owned(),
        Some(end) => [&message[..message.floor_char_boundary(end)], MORE].concat(),
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

/// Makes the response to a call that is refused before it is read.
pub fn refused(error: ServeError) -> Response<Body> {
    Status::from(error).into_http()
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
    fn a_message_fits_into_the_header_of_any_client() {
        for text in ["a".repeat(100_000), "[1,".repeat(50_000), "\u{6570}".repeat(3000), " %".repeat(3000)] {
            let start: String = text.chars().take(150).collect();
            let status = Status::from(ServeError::invalid(text));
            assert!(status.message().starts_with(&start) && status.message().ends_with(" ..."));
            let head = status.into_http::<()>();
            assert!(head.headers()["grpc-message"].len() <= MAX_MESSAGE);
        }
        let short = "input 'x' has shape [1,3], expected [N,2]";
        assert_eq!(Status::from(ServeError::invalid(short)).message(), short);
    }

    #[test]
    fn a_status_has_the_name_that_grpc_gives_it() {
        for code in ErrorCode::ALL {
            let name = format!("{:?}", Code::from_i32(code.grpc())).to_uppercase();
            assert_eq!(code.grpc_name().replace('_', ""), name, "{code:?}");
        }
    }
}
