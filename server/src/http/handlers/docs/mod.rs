//! The page to read and try what is served: three files that need nothing from elsewhere.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

/// Only what this server sends: no script or style of anybody else's, and none inside the page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

pub(in crate::http) async fn page() -> Response {
    let mut page = file("text/html; charset=utf-8", include_str!("index.html"));
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    page
}

pub(in crate::http) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("app.js"))
}

pub(in crate::http) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("style.css"))
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"), // it changes with the server
    ];
    (headers, content).into_response()
}
