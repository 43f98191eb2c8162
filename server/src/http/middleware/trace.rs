//! Request ids, spans and log lines. Every failed request is logged once, in a span with its id. If traces are
//! exported, each request gets a second span, for the collector.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Response, Version, header, uri::PathAndQuery},
};
use opentelemetry::{KeyValue, TraceId};
use tracing::{Span, field};

use super::{call_span, error_shape::shaped};
use crate::{
    access::Peer,
    error::{ErrorCode, ServeError},
    grpc,
    http::{Wire, routes::Routes},
    telemetry::{ServerSpan, Traces, traces},
};

/// Header with the id of a request: the client's, or else one that the server makes. The response repeats it.
pub(in crate::http) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is kept, in bytes. Usual ids have 16 to 64.
const MAX_ID: usize = 256;

/// Beginnings of paths that are not traced, since probes and scrapers request them many times a minute.
const UNTRACED: [&str; 5] = ["/metrics", "/docs", "/openapi.json", "/v2/health/", "/grpc.health.v1.Health/"];

/// Makes ids for requests without one: the start time of the process, then a counter.
#[derive(Debug)]
pub(in crate::http) struct NumberedRequests {
    process: String,
    count: AtomicU64,
}

impl Default for NumberedRequests {
    fn default() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { process: format!("{:x}-", since_epoch.as_micros()), count: AtomicU64::default() }
    }
}

impl NumberedRequests {
    fn next(&self) -> HeaderValue {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(self.count.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from([&self.process, number].concat()).expect("digits are a header's value")
    }
}

/// What a log line about a request needs. A request is logged if it fails, or at level debug.
#[derive(Debug)]
pub(in crate::http) struct RequestLog {
    id: HeaderValue,
    method: Method,
    path: Option<PathAndQuery>,
    trace: Option<TraceId>,
    started: Instant,
}

impl RequestLog {
    /// Reads a request. If it has no id, it gets the next one of `numbers`.
    pub(in crate::http) fn of(request: &Request<Body>, numbers: &NumberedRequests) -> Self {
        let id = request.headers().get(REQUEST_ID).and_then(bounded).unwrap_or_else(|| numbers.next());
        // The client's trace id, which other services log too. An exported span belongs to the same trace.
        let trace = traces::parent(request.headers()).map(|parent| parent.trace_id());
        let (method, path) = (request.method().clone(), request.uri().path_and_query().cloned());
        Self { id, method, path, trace, started: Instant::now() }
    }

    /// Makes the span that adds the request's id to every log line.
    pub(in crate::http) fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            request_id = self.id.to_str().unwrap_or_default(),
            method = self.method.as_str(),
            path = self.path.as_ref().map_or("", PathAndQuery::path),
            trace_id = self.trace.map(field::display),
        )
    }

    /// Logs a failed request: internal errors at level error, overload and timeouts at level warn, all others at level
    /// debug. `span` is the request's span if it has one already.
    pub(in crate::http) fn log(&self, response: &Response<Body>, span: Span) {
        let error = response.extensions().get::<ServeError>();
        if error.is_none() && span.is_none() {
            return;
        }
        let microseconds = self.started.elapsed().as_micros() as u64;
        let span = if span.is_none() { self.span() } else { span };
        span.in_scope(|| match error {
            None => tracing::debug!(status = response.status().as_u16(), microseconds, "answered"),
            Some(error) => failed(error, response, microseconds),
        });
    }

    /// Returns the request's id for the header of the response.
    pub(in crate::http) fn into_id(self) -> HeaderValue {
        let mut id = self.id;
        // The id never occurs again. As sensitive, it stays out of HTTP/2's header table, which would compare each
        // later id with it.
        id.set_sensitive(true);
        id
    }
}

/// Returns the first 256 bytes of a client's id. It is in every log line about the request.
fn bounded(id: &HeaderValue) -> Option<HeaderValue> {
    if id.len() <= MAX_ID {
        return Some(id.clone());
    }
    HeaderValue::from_bytes(&id.as_bytes()[..MAX_ID]).ok()
}

fn failed(error: &ServeError, response: &Response<Body>, microseconds: u64) {
    // The HTTP status of a gRPC call is 200 also where it failed.
    let grpc_status = grpc::is_grpc(response.headers()).then(|| error.code.grpc_name());
    let status = grpc_status.is_none().then(|| response.status().as_u16());
    match error.code {
        ErrorCode::Internal => tracing::error!(status, grpc_status, microseconds, %error, "request failed"),
        ErrorCode::Overloaded | ErrorCode::DeadlineExceeded => {
            tracing::warn!(status, grpc_status, microseconds, %error, "request failed");
        }
        // Level debug also for Unavailable, since probes may cause it many times a second while a pod starts.
        ErrorCode::Unavailable
        | ErrorCode::InvalidArgument
        | ErrorCode::Unauthenticated
        | ErrorCode::PermissionDenied
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::RequestTimeout
        | ErrorCode::PayloadTooLarge
        | ErrorCode::UnsupportedEncoding
        | ErrorCode::Unimplemented => {
            tracing::debug!(status, grpc_status, microseconds, %error, "request refused");
        }
    }
}

/// Has the routes serve a request within a span for the collector, which follows OpenTelemetry's semantic conventions.
pub(in crate::http) async fn export(
    traces: &Traces,
    routes: &Routes,
    (wire, peer): (Wire, Peer),
    request: &mut Request<Body>,
    log: &RequestLog,
) -> Response<Body> {
    if is_probe(request.uri().path()) {
        return shaped(wire, routes.serve(wire, peer, request)).await;
    }
    let (parent, method) = (traces::parent(request.headers()), method(request).unwrap_or("HTTP").to_owned());
    let path = request.uri().path().to_owned();
    let span = traces.server_span(method.clone(), parent, attributes(request, peer));
    Span::current().record("trace_id", field::display(span.context().trace_id()));
    if let Ok(id) = log.id.to_str() {
        span.set("decima.request_id", id.to_owned());
    }
    let response = span.run(shaped(wire, routes.serve(wire, peer, request))).await;
    let call = describe_route(&span, wire, &method, Routes::route(&path, &response), &path);
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    // By the conventions, a client's fault is not an error of the server's span.
    let error = response.extensions().get::<ServeError>();
    let code = error.map_or_else(|| status.as_u16(), |error| error.code.http());
    if code >= 500 {
        span.set("error.type", error.map_or("internal", |error| error.code.label()));
        span.fail(error.map(ToString::to_string).unwrap_or_default());
    }
    if call == RoutedCall::Grpc {
        return call_span::end_with_call(response, span);
    }
    span.end();
    response
}

/// Whether a request was a known gRPC call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RoutedCall {
    Grpc,
    Other,
}

/// Names the span after its route, since span names must be few and a client can choose any path. A request without a
/// route keeps its method as the name.
fn describe_route(
    span: &ServerSpan,
    wire: Wire,
    method: &str,
    route: Option<&str>,
    path: &str,
) -> RoutedCall {
    let Some(route) = route else { return RoutedCall::Other };
    let call = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    if let (Wire::Grpc, Some((service, method))) = (wire, call) {
        span.rename(format!("{service}/{method}"));
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service.to_owned());
        span.set("rpc.method", method.to_owned());
        return RoutedCall::Grpc;
    }
    span.rename(format!("{method} {route}"));
    span.set("http.route", route.to_owned());
    RoutedCall::Other
}

fn is_probe(path: &str) -> bool {
    path.ends_with("/ready") || UNTRACED.iter().any(|untraced| path.starts_with(untraced))
}

fn method(request: &Request<Body>) -> Option<&str> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    known.contains(request.method()).then(|| request.method().as_str())
}

fn attributes(request: &Request<Body>, peer: Peer) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method(request).unwrap_or("_OTHER").to_owned()),
        KeyValue::new("url.scheme", if peer.has_tls { "https" } else { "http" }),
        KeyValue::new("url.path", request.uri().path().to_owned()),
        KeyValue::new("network.protocol.name", "http"),
        KeyValue::new("network.protocol.version", protocol_version(request.version())),
    ];
    if method(request).is_none() {
        attributes.push(KeyValue::new("http.request.method_original", request.method().to_string()));
    }
    if let Some(agent) = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        attributes.push(KeyValue::new("user_agent.original", agent.to_owned()));
    }
    attributes
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
