//! Traces: a span for every request, exported over OTLP to the collector that the environment names.
//!
//! Without a collector there is no [`Traces`], and requests do no work for spans.

mod export;
mod parent;
mod settings;

use std::{borrow::Cow, future::Future, time::Duration};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{FutureExt, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TracerProvider as _},
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use parent::parent;
use settings::Settings;

use crate::platform::environment::Environment;

/// Makes spans, and exports them to the collector in the background.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Reads OpenTelemetry's environment variables. Returns `None` if no collector is named or its exporter cannot be
    /// made, and a warning for each value that is not supported. Must be called inside the tokio runtime that is to
    /// connect to the collector.
    pub fn from_environment(environment: &Environment) -> (Option<Self>, Vec<String>) {
        let mut warnings = Vec::new();
        let traces = Settings::read(environment, &mut warnings).and_then(|settings| {
            export::provider(settings)
                .inspect_err(|error| warnings.push(format!("traces are not exported: {error}")))
                .ok()
        });
        (traces.map(Self::new), warnings)
    }

    fn new(provider: SdkTracerProvider) -> Self {
        Self { tracer: provider.tracer(env!("CARGO_PKG_NAME")), provider }
    }

    /// Starts the span of a request, as a child of `parent` if the client sent one. It ends with [`ServerSpan::end`],
    /// or when it is dropped.
    pub fn server_span(
        &self,
        name: impl Into<Cow<'static, str>>,
        parent: Option<SpanContext>,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> ServerSpan {
        let empty = Context::new();
        let parent = parent.map_or_else(|| empty.clone(), |parent| empty.with_remote_span_context(parent));
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        ServerSpan(parent.with_value(self.tracer.clone()).with_span(span))
    }

    /// Exports the remaining spans for at most `within`, and ends the exporter. Blocks the thread.
    pub fn shutdown(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::warn!(%error, "cannot export the last traces");
        }
    }
}

/// The span of a request.
#[derive(Debug)]
pub struct ServerSpan(Context);

impl ServerSpan {
    /// Runs `request` inside the span, to which [`note`] and [`phase`] then add.
    pub fn run<F: Future>(&self, request: F) -> impl Future<Output = F::Output> + use<F> {
        request.with_context(self.0.clone())
    }

    /// Runs a synchronous part of the request inside the span.
    pub fn within<T>(&self, part: impl FnOnce() -> T) -> T {
        let _inside = self.0.clone().attach();
        part()
    }

    /// Returns the ids of its trace and of itself.
    pub fn context(&self) -> SpanContext {
        self.0.span().span_context().clone()
    }

    /// Changes its name.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        self.0.span().update_name(name);
    }

    /// Sets an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(key, value));
    }

    /// Marks it as failed through a fault of the server.
    pub fn fail(&self, description: String) {
        self.0.span().set_status(Status::error(description));
    }

    /// Ends it now.
    pub fn end(&self) {
        self.0.span().end();
    }
}

/// Sets an attribute of the current request's span, if there is one.
pub fn note(key: &'static str, value: &str) {
    Context::map_current(|request| {
        if request.span().is_recording() {
            request.span().set_attribute(KeyValue::new(key, value.to_owned()));
        }
    });
}

/// Starts a child of the current request's span, if there is one, for a phase of the request. The child ends when the
/// value is dropped.
pub fn phase(name: &'static str) -> Phase {
    Phase(Context::map_current(|request| {
        let tracer = request.get::<SdkTracer>().filter(|_| request.span().is_recording())?;
        Some(Box::new(SpanBuilder::from_name(name).start_with_context(tracer, request)))
    }))
}

/// A phase of a request; see [`phase`]. The span is boxed, so that a request without one does not carry its hundreds of
/// bytes.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Phase(
    #[expect(dead_code, reason = "a span ends when it is dropped")]
    Option<Box<opentelemetry_sdk::trace::Span>>,
);
