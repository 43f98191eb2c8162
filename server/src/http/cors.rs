//! Cross-origin requests: whose pages a browser lets ask this server, and what they may send and read.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header},
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::trace::REQUEST_ID;
use crate::config::CorsOrigins;

/// How long a browser may keep the answer to its question beforehand; most keep it for two hours at most.
const MAX_AGE: Duration = Duration::from_hours(2);

/// What allows these origins. Every header may be sent, since none means anything that a page must not say: there are no
/// credentials here. Those that answers to inference have can be read.
pub(super) fn layer(origins: &CorsOrigins) -> CorsLayer {
    let origins = match origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::Listed(origins) => {
            AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
        }
    };
    let json_length = HeaderName::from_static(oip::JSON_LENGTH_HEADER);
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([json_length, header::RETRY_AFTER, REQUEST_ID])
        .max_age(MAX_AGE)
}

/// Whether a request is one that the layer may take for a browser's question beforehand, or must leave alone: it would
/// answer every OPTIONS.
pub(super) fn is_question_or_request(request: &Request<Body>) -> bool {
    let asks = |headers: &HeaderMap| {
        headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    };
    *request.method() != Method::OPTIONS || asks(request.headers())
}
