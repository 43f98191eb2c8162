//! Traces: a span for every request, sent by OTLP to a collector, where the environment names one.
//!
//! Where it names none there is no [`Traces`], and requests pass through nothing that knows of spans.

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

/// Makes spans, and brings them to the collector in the background.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Reads the variables of OpenTelemetry; `None` where no collector is named, or one that cannot be
    /// spoken to. The second part has a line for each value that is not understood. To be called inside the
    /// runtime that is to speak to the collector.
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

    /// Starts the span of a request, as a child of `parent` where the client named one. It ends with
    /// [`ServerSpan::end`], or when it is dropped.
    pub fn server_span(
        &self,
        name: impl Into<Cow<'static, str>>,
        parent: Option<SpanContext>,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> ServerSpan {
        let nowhere = Context::new();
        let parent =
            parent.map_or_else(|| nowhere.clone(), |parent| nowhere.with_remote_span_context(parent));
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        ServerSpan(parent.with_value(self.tracer.clone()).with_span(span))
    }

    /// Sends what is left to the collector, for at most so long, and ends. It blocks.
    pub fn shutdown(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// The span of a request.
#[derive(Debug)]
pub struct ServerSpan(Context);

impl ServerSpan {
    /// Runs `request` inside the span: [`note`] and [`phase`] then add to it.
    pub fn run<F: Future>(&self, request: F) -> impl Future<Output = F::Output> + use<F> {
        request.with_context(self.0.clone())
    }

    /// Does a part of the request inside the span, as [`ServerSpan::run`] does all of it.
    pub fn within<T>(&self, part: impl FnOnce() -> T) -> T {
        let _inside = self.0.clone().attach();
        part()
    }

    /// The trace that it is part of.
    pub fn context(&self) -> SpanContext {
        self.0.span().span_context().clone()
    }

    /// Gives it another name.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        self.0.span().update_name(name);
    }

    /// Notes an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(key, value));
    }

    /// Marks it as failed, by the server's fault.
    pub fn fail(&self, description: String) {
        self.0.span().set_status(Status::error(description));
    }

    /// Ends it now.
    pub fn end(&self) {
        self.0.span().end();
    }
}

/// Notes an attribute on the span of the request that runs here, where there is one.
pub fn note(key: &'static str, value: &str) {
    Context::map_current(|request| {
        if request.span().is_recording() {
            request.span().set_attribute(KeyValue::new(key, value.to_owned()));
        }
    });
}

/// A part of the request that runs here: a child of its span, where there is one, until it is dropped.
pub fn phase(name: &'static str) -> Phase {
    Phase(Context::map_current(|request| {
        let tracer = request.get::<SdkTracer>().filter(|_| request.span().is_recording())?;
        Some(Box::new(SpanBuilder::from_name(name).start_with_context(tracer, request)))
    }))
}

/// See [`phase`]. Where there is no span, none of its hundreds of bytes are moved about.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Phase(
    #[expect(dead_code, reason = "a span ends when it is dropped")]
    Option<Box<opentelemetry_sdk::trace::Span>>,
);
