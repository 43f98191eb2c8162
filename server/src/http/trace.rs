//! A span for every request, with its id, and one line for every failure.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response},
};
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{MakeRequestId, RequestId},
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::Span;

use crate::error::{ErrorCode, ServeError};

/// Numbers requests that come without an id: the start of the process, then a count.
#[derive(Clone, Debug)]
pub(super) struct NumberedRequests {
    process: u64,
    count: std::sync::Arc<AtomicU64>,
}

impl Default for NumberedRequests {
    fn default() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { process: since_epoch.as_micros() as u64, count: std::sync::Arc::default() }
    }
}

impl MakeRequestId for NumberedRequests {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:x}-{number:x}", self.process)).ok().map(RequestId::new)
    }
}

type Layer = TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), LogFailure, (), (), ()>;

pub(super) fn layer() -> Layer {
    TraceLayer::new_for_http()
        .make_span_with(RequestSpan)
        .on_request(())
        .on_response(LogFailure)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

/// Makes the span that puts the request's id on every line.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestSpan;

impl MakeSpan<Body> for RequestSpan {
    fn make_span(&mut self, request: &Request<Body>) -> Span {
        let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
        tracing::info_span!(
            "request",
            request_id = id.unwrap_or_default(),
            method = %request.method(),
            path = request.uri().path(),
        )
    }
}

/// Logs a request that failed, once: the client's faults as details, the server's as errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFailure;

impl<B> OnResponse<B> for LogFailure {
    fn on_response(self, response: &Response<B>, latency: Duration, _: &Span) {
        let status = response.status().as_u16();
        let microseconds = latency.as_micros() as u64;
        let Some(error) = response.extensions().get::<ServeError>() else {
            tracing::debug!(status, microseconds, "answered");
            return;
        };
        match error.code {
            ErrorCode::Internal => tracing::error!(status, microseconds, %error, "request failed"),
            ErrorCode::Overloaded | ErrorCode::DeadlineExceeded => {
                tracing::warn!(status, microseconds, %error, "request failed");
            }
            // Probes come 20 times a second while a pod starts.
            ErrorCode::Unavailable
            | ErrorCode::InvalidArgument
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::RequestTimeout
            | ErrorCode::PayloadTooLarge
            | ErrorCode::UnsupportedEncoding
            | ErrorCode::Unimplemented => {
                tracing::debug!(status, microseconds, %error, "request refused");
            }
        }
    }
}
