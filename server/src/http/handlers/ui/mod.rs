//! The web page for drawing digits, which browsers get at `/`. Its files are compiled into the program, and load
//! nothing from other servers.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::v1;
use crate::error::{ErrorCode, ServeError};
use crate::http::AppState;

/// Content security policy: the page may only load what this server sends, and show its own pictures and the camera's.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data: blob:; \
     media-src blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The files of the page. The first is the page itself.
const FILES: [File; 9] = [
    File { name: "index.html", content_type: HTML, content: include_str!("index.html") },
    File { name: "style.css", content_type: STYLE, content: include_str!("style.css") },
    File { name: "app.js", content_type: SCRIPT, content: include_str!("app.js") },
    File { name: "server.js", content_type: SCRIPT, content: include_str!("server.js") },
    File { name: "reader.js", content_type: SCRIPT, content: include_str!("reader.js") },
    File { name: "pad.js", content_type: SCRIPT, content: include_str!("pad.js") },
    File { name: "pictures.js", content_type: SCRIPT, content: include_str!("pictures.js") },
    File { name: "result.js", content_type: SCRIPT, content: include_str!("result.js") },
    File { name: "snippets.js", content_type: SCRIPT, content: include_str!("snippets.js") },
];

/// The `ETag` of each file in [`FILES`], a digest of its content.
static TAGS: LazyLock<[HeaderValue; FILES.len()]> = LazyLock::new(|| FILES.map(|file| tag(file.content)));

fn tag(content: &str) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(content)[..12] {
        let _ = write!(tag, "{byte:02x}"); // writing to a string never fails
    }
    tag.push('"');
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Serves `/`: the page for browsers, and the V1 liveness response for all other clients.
pub(in crate::http) async fn root(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if !state.ui {
        return v1::alive();
    }
    let mut answer = if accepts_html(&headers) { sent(0, &headers) } else { v1::alive() };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// Serves a file of the page below `/ui/`.
pub(in crate::http) async fn file(
    State(state): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ServeError> {
    let index = FILES.iter().position(|file| file.name == name).filter(|&index| state.ui && index > 0);
    let Some(index) = index else {
        let name: String = name.chars().take(128).collect();
        let why = if state.ui { "" } else { ": the page is switched off with --ui off" };
        return Err(ServeError::new(ErrorCode::NotFound, format!("unknown path '/ui/{name}'{why}")));
    };
    Ok(sent(index, &headers))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("text/html")
    })
}

/// Responds with a file, or with 304 if the browser has it. Browsers must revalidate each time, since another version
/// of the server has other files.
fn sent(index: usize, headers: &HeaderMap) -> Response {
    let File { content_type, content, .. } = FILES[index];
    let tag = &TAGS[index];
    let mut answer = if has_already(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], content).into_response()
    };
    let response_headers = answer.headers_mut();
    response_headers.insert(header::ETAG, tag.clone());
    response_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response_headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response_headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if content_type == HTML {
        response_headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    }
    answer
}

/// Returns whether the browser sent the `ETag`, as it is or weakened by a compressing proxy.
fn has_already(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes()
    })
}
