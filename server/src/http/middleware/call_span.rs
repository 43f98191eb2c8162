//! The span of a gRPC call. It stays open until the last response message, and takes the status from the trailers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::telemetry::ServerSpan;

/// gRPC's status CANCELLED, recorded if the client disconnects before the end.
const CANCELLED: i64 = 1;

/// Statuses that count as errors of the server by OpenTelemetry's semantic conventions: UNKNOWN, `DEADLINE_EXCEEDED`,
/// UNIMPLEMENTED, INTERNAL, UNAVAILABLE and `DATA_LOSS`.
const SERVER_ERRORS: [i64; 6] = [2, 4, 12, 13, 14, 15];

/// Ends the span with the call's status, which is in the headers or else in the trailers after the messages.
pub(in crate::http) fn end_with_call(response: Response<Body>, span: ServerSpan) -> Response<Body> {
    if let Some(status) = status(response.headers()) {
        span.set("rpc.grpc.status_code", status);
        span.end();
        return response;
    }
    response.map(|body| Body::new(SpannedBody { body, span: Some(span) }))
}

fn status(headers: &HeaderMap) -> Option<i64> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The response messages of a call. A stream's messages are computed while the body is polled, inside the span.
#[derive(Debug)]
struct SpannedBody {
    body: Body,
    /// `None` once the span has ended.
    span: Option<ServerSpan>,
}

impl SpannedBody {
    fn end(&mut self, status: i64, message: &str) {
        let Some(span) = self.span.take() else { return };
        span.set("rpc.grpc.status_code", status);
        if SERVER_ERRORS.contains(&status) {
            span.set("error.type", status.to_string());
            span.fail(message.to_owned());
        }
        span.end();
    }
}

impl HttpBody for SpannedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, span } = &mut *self;
        let poll = || Pin::new(body).poll_frame(context);
        let frame = ready!(match span {
            Some(span) => span.within(poll),
            None => poll(),
        });
        if let Some(Ok(Some(trailers))) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::trailers_ref))
            && let Some(status) = status(trailers)
        {
            let message = trailers.get("grpc-message").and_then(|message| message.to_str().ok());
            self.end(status, message.unwrap_or_default());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for SpannedBody {
    fn drop(&mut self) {
        self.end(CANCELLED, "");
    }
}
