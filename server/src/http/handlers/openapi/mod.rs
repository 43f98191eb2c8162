//! The description of the HTTP API as an OpenAPI 3.1 document.
//!
//! It is separate from the handlers: `endpoints` lists the paths, and `schemas` describes the bodies.

mod endpoint;
mod endpoints;
mod examples;
mod feedback_schemas;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::openapi::{
    Components, Header, Info, License, OpenApi, OpenApiBuilder, Paths, Response as Answer, Server, Tag,
};

use self::endpoint::Group;
use crate::error::ErrorCode;

/// The encoded document, which never changes.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    serde_json::to_vec(&document()).expect("strings, numbers and maps by string are always JSON").into()
});

pub(in crate::http) async fn json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

fn document() -> OpenApi {
    let mut paths = Paths::new();
    for endpoint in endpoints::all() {
        endpoint.add_to(&mut paths);
    }
    let mut info = Info::new("Decima", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Inference server for ONNX models: the Open Inference Protocol (V2) of KServe and Triton with its \
         extensions, and the V1 protocol. The examples are for the digits model."
            .into(),
    );
    info.license = Some(License::builder().name("Apache License 2.0").identifier(Some("Apache-2.0")).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(".")])) // relative to the document: it may be served below a prefix
        .security(Some([])) // said, so that nobody takes it for forgotten
        .tags(Some(Group::ALL.map(|group| {
            let mut tag = Tag::new(group.name());
            tag.description = Some(group.description().into());
            tag
        })))
        .components(Some(components()))
        .paths(paths)
        .build()
}

fn components() -> Components {
    // Paths that always respond with 501 are not listed.
    let listed = ErrorCode::ALL.into_iter().filter(|&code| code != ErrorCode::Unimplemented);
    let faults = listed.map(|code| (code.label(), fault(code)));
    schemas::components().responses_from_iter(faults).build()
}

/// Describes the response to a request that fails with this code.
fn fault(code: ErrorCode) -> Answer {
    let mut response = endpoint::make_response(description(code), Some(("application/json", "Error", None)));
    if code.retry_after().is_some() {
        response
            .headers
            .insert("Retry-After".into(), endpoint::header("Seconds to wait before another try.").into());
    }
    if code == ErrorCode::Unauthenticated {
        let challenge: Header = endpoint::header("How to send a token.");
        response.headers.insert("WWW-Authenticate".into(), challenge.into());
    }
    if code == ErrorCode::MethodNotAllowed {
        let allow: Header = endpoint::header("The methods that the path takes.");
        response.headers.insert("Allow".into(), allow.into());
    }
    response
}

const fn description(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidArgument => "The request is malformed or does not fit the model.",
        ErrorCode::Unauthenticated => "The request has no token, or a wrong one.",
        ErrorCode::PermissionDenied => "Who sends the request may not do this.",
        ErrorCode::NotFound => "There is no such model, version or path.",
        ErrorCode::MethodNotAllowed => "The path does not take this method.",
        ErrorCode::RequestTimeout => "The body did not arrive in time.",
        ErrorCode::PayloadTooLarge => "The body or the picture is too large.",
        ErrorCode::UnsupportedEncoding => {
            "The body's encoding is neither gzip nor deflate, or its type is not the one that is asked for."
        }
        ErrorCode::Overloaded => "Too much is waiting already.",
        ErrorCode::Unavailable => {
            "The model is loading or unloaded, the server is starting or stopping, or a store does not respond."
        }
        ErrorCode::DeadlineExceeded => "The request's time ran out.",
        ErrorCode::Internal => "The server failed, or ONNX Runtime did.",
        ErrorCode::Unimplemented => "A part of the protocol that the server does not have.",
    }
}
