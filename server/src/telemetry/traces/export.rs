//! Export of spans to the collector: OTLP over gRPC, in batches, from a separate thread.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};

use super::settings::Settings;

/// Makes the tracer provider. The exporter reads the variables `OTEL_EXPORTER_OTLP_…` and `OTEL_BSP_…` itself.
pub(super) fn provider(settings: Settings) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    let resource = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = match settings.service_name {
        Some(name) => resource.with_service_name(name),
        None => resource,
    };
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(LogsFailures { exporter, failing: AtomicBool::new(false) })
        .with_sampler(settings.sampler)
        .with_resource(resource.build())
        .build())
}

/// An exporter that logs the first failure, and the first success after failures.
#[derive(Debug)]
struct LogsFailures<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for LogsFailures<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let failed_before = self.failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !failed_before => {
                tracing::warn!(%error, "traces cannot be exported, and are dropped until the collector responds again");
            }
            Ok(()) if failed_before => tracing::info!("traces are exported again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
