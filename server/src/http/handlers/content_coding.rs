//! Content coding of inference requests and responses: gzip and deflate.

use std::{convert::Infallible, future::ready};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};
use http_body::Body as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::{CompressionLevel, compression::CompressionLayer, decompression::RequestDecompressionLayer};

/// Shortest response that is compressed, in bytes. For a shorter one, compression costs more than it saves.
const SHORTEST_COMPRESSED: u64 = 1024;

/// Decompresses the body of a request, if the client compressed it.
///
/// # Errors
/// The coding is unknown. The error is the response: 415, with the known codings.
pub(super) async fn decompressed(headers: &HeaderMap, body: Body) -> Result<Body, Response> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    let mut request = Request::new(body);
    request.headers_mut().insert(header::CONTENT_ENCODING, coding.clone());
    // The layer passes the decompressed body to a service. This one returns it as a response.
    let hand_back = service_fn(|request: Request<_>| {
        ready(Ok::<_, Infallible>(Response::new(Body::new(request.into_body()))))
    });
    let decompression = RequestDecompressionLayer::new().layer(hand_back);
    let Ok(response) = Box::pin(decompression.oneshot(request)).await;
    let response = response.map(Body::new);
    if response.status() == StatusCode::OK { Ok(response.into_body()) } else { Err(response) }
}

/// Compresses a response in a coding that the client accepts, if it is long enough.
pub(super) async fn compressed(headers: &HeaderMap, response: Response) -> Response {
    if !headers.contains_key(header::ACCEPT_ENCODING)
        || response.status() != StatusCode::OK
        || response.body().size_hint().lower() < SHORTEST_COMPRESSED
    {
        return response;
    }
    let mut request = Request::new(Body::empty());
    for accepted in headers.get_all(header::ACCEPT_ENCODING) {
        request.headers_mut().append(header::ACCEPT_ENCODING, accepted.clone());
    }
    let mut response = Some(response);
    let answer =
        service_fn(move |_: Request<Body>| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    let Ok(compressed) = Box::pin(compression.layer(answer).oneshot(request)).await;
    compressed.map(Body::new)
}
