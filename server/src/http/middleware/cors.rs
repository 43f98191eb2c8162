//! Cross-origin requests (CORS): which origins' pages may send requests, and what they may send and read.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header},
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::trace::REQUEST_ID;
use crate::config::CorsOrigins;

/// How long a browser may keep the answer to a preflight request; most keep it for two hours at most.
const MAX_AGE: Duration = Duration::from_hours(2);

/// The layer that allows these origins. A page may send every header: there are no credentials here, so none of them needs
/// protection. It can read those that answers to inference have.
pub(in crate::http) fn layer(origins: &CorsOrigins) -> CorsLayer {
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

/// Whether the layer may see a request: a preflight request, which it answers, or any method but OPTIONS. Every other
/// OPTIONS it would answer too, though that is not for it.
pub(in crate::http) fn is_question_or_request(request: &Request<Body>) -> bool {
    let asks = |headers: &HeaderMap| {
        headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    };
    *request.method() != Method::OPTIONS || asks(request.headers())
}
