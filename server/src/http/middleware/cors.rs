//! Cross-origin requests (CORS): which origins' pages may send requests, and what they may send and read.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header},
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::trace::REQUEST_ID;
use crate::config::CorsOrigins;

/// How long a browser may cache the response to a preflight request. Most browsers cap it at two hours.
const MAX_AGE: Duration = Duration::from_hours(2);

/// Makes the layer that allows these origins. A page may send any header, since the server has no credentials to
/// protect. It can read the headers of inference responses.
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

/// Returns whether the layer should see a request: a preflight request, or any method except OPTIONS. The layer would
/// also respond to other OPTIONS requests, which are not its concern.
pub(in crate::http) fn is_for_layer(request: &Request<Body>) -> bool {
    let asks = |headers: &HeaderMap| {
        headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    };
    *request.method() != Method::OPTIONS || asks(request.headers())
}
