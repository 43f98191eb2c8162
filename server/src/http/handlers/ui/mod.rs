//! The page to draw on: what browsers get at `/`. Its files are part of the program and need nothing from elsewhere.

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

/// Only what this server sends, with its own pictures and the camera's.
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

/// The page itself, then its parts.
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

/// What tells a file from what it was before, by its place in [`FILES`].
static TAGS: LazyLock<[HeaderValue; FILES.len()]> = LazyLock::new(|| FILES.map(|file| tag(file.content)));

fn tag(content: &str) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(content)[..12] {
        let _ = write!(tag, "{byte:02x}"); // a string takes all that is written
    }
    tag.push('"');
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Answers at `/`: the page to browsers, and to all others what V1 clients ask there.
pub(in crate::http) async fn root(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if !state.ui {
        return v1::alive();
    }
    let mut answer = if accepts_html(&headers) { sent(0, &headers) } else { v1::alive() };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// Sends a part of the page.
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

/// The file, or 304 where the browser has it. It is asked for every time, since it changes with the server.
fn sent(index: usize, headers: &HeaderMap) -> Response {
    let File { content_type, content, .. } = FILES[index];
    let tag = &TAGS[index];
    let mut answer = if has_already(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], content).into_response()
    };
    let own = answer.headers_mut();
    own.insert(header::ETAG, tag.clone());
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    own.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if content_type == HTML {
        own.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    }
    answer
}

/// Whether the browser names the tag, as it is or weakened by a proxy that compresses.
fn has_already(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes()
    })
}
