//! The page to read and try the API: Swagger UI, with nothing from elsewhere. Addresses are relative, so that it works
//! below a prefix too.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::error::{ErrorCode, ServeError};

/// Only what this server sends. Swagger UI sets styles on elements and draws its icons from `data:` addresses.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

pub(in crate::http) async fn page() -> Response {
    let mut page = file("text/html; charset=utf-8", include_bytes!("index.html"));
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    page
}

/// `/docs/` is `/docs`: from there the page's relative addresses would lead astray.
pub(in crate::http) async fn without_slash() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "../docs")]).into_response()
}

pub(in crate::http) async fn part(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "start.js" => file("text/javascript; charset=utf-8", include_bytes!("start.js")),
        "style.css" => file("text/css; charset=utf-8", include_bytes!("style.css")),
        "swagger-ui-bundle.js" => compressed(
            "text/javascript",
            include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
        ),
        "swagger-ui.css" => {
            compressed("text/css", include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")))
        }
        _ => ServeError::new(ErrorCode::NotFound, "the page has no such part").into_response(),
    }
}

fn file(content_type: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"), // it changes with the server
    ];
    (headers, content).into_response()
}

/// A file that is kept compressed: every browser reads gzip.
fn compressed(content_type: &'static str, content: &'static [u8]) -> Response {
    ([(header::CONTENT_ENCODING, "gzip")], file(content_type, content)).into_response()
}
