//! Making HTTP responses: errors in the protocol's form, and JSON bodies.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::error::{ErrorCode, ServeError};

/// How a client says who it is (RFC 6750, 3).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"decima\"");

impl IntoResponse for ServeError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = oip::error_body(&self.message);
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(wait) = self.code.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.code == ErrorCode::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
        }
        response.extensions_mut().insert(self); // for the log
        response
    }
}

/// Makes a response with status 200 and a JSON body.
pub(super) fn json(body: impl Serialize) -> Response {
    Json(body).into_response()
}

/// Makes the response to an HTTP/2 request whose headers are too large.
pub(super) fn head_too_large() -> Response {
    let error = ServeError::new(ErrorCode::InvalidArgument, "the request has more than 64 KiB of headers");
    let mut response = error.into_response();
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}

/// Gives errors that axum makes itself (a wrong method, an unknown encoding, a path that is not UTF-8) the protocol's
/// form. Their headers, such as `Allow`, stay.
pub(super) fn shape_error(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.extensions().get::<ServeError>().is_some()
    {
        return response;
    }
    let (code, message) = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            (ErrorCode::MethodNotAllowed, "this path does not take this method")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            ErrorCode::UnsupportedEncoding,
            "unsupported Content-Encoding: expected gzip, deflate or identity",
        ),
        StatusCode::NOT_FOUND => (ErrorCode::NotFound, "unknown path"),
        status if status.is_client_error() => {
            (ErrorCode::InvalidArgument, "the path or a header cannot be read")
        }
        _ => (ErrorCode::Internal, "the server failed on this request"),
    };
    let mut shaped = ServeError::new(code, message).into_response();
    for (name, value) in response.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            shaped.headers_mut().insert(name, value.clone());
        }
    }
    shaped
}
