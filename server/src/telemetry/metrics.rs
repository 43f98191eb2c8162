//! The metrics of the server, with their names and help texts; those of runs, of predictions, of
//! corrections, of the process and of Triton's names are in the files beside. Handles with labels are resolved once per
//! model, not per request.

use std::{sync::Arc, time::Duration};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use super::{
    metrics_compat::{ModelCounts, ModelStages, Stage, StageDurations, triton},
    metrics_feedback::Corrections,
    metrics_predictions::{ModelPredictions, Predictions},
    metrics_process,
    metrics_registry::{DURATION_BUCKETS, register},
    metrics_runs::{ModelRuns, Runs},
    statistics::Statistics,
    traces::{Phase, phase},
};
use crate::{config::MetricsCompat, error::ErrorCode};

const ROW_BUCKETS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Open Inference Protocol over HTTP.
    Rest,
    /// Open Inference Protocol over gRPC.
    Grpc,
    /// The V1 protocol over HTTP.
    V1,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Rest, Self::Grpc, Self::V1];

    /// The protocol as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::V1 => "v1",
        }
    }
}

/// All metrics of the server.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    request_duration: HistogramVec,
    queue_duration: HistogramVec,
    compute_duration: HistogramVec,
    batch_rows: HistogramVec,
    queue_rows: IntGaugeVec,
    runs: Runs,
    predictions: Predictions,
    rejected: IntCounterVec,
    corrections: Corrections,
    model_ready: IntGaugeVec,
    model_load_duration: GaugeVec,
    build_info: IntGaugeVec,
    /// Inference requests in progress.
    pub in_flight: IntGauge,
    /// Whether to render Triton's names too.
    triton: bool,
    /// `KServe`'s histograms, if they are switched on.
    stages: Option<StageDurations>,
}

/// The metrics of one version of a model.
#[derive(Debug)]
pub struct ModelMetrics {
    labels: [String; 2],
    all: Metrics,
    succeeded: [Histogram; Protocol::ALL.len()],
    /// Time from a request's arrival to the start of its run.
    pub queue_duration: Histogram,
    /// Time of a batch: joining the inputs, running, splitting the outputs.
    pub compute_duration: Histogram,
    /// Rows of the batches that ran. Its sum divided by its count is the mean batch size.
    pub batch_rows: Histogram,
    /// Rows that wait in the queue. Updated when the metrics are rendered.
    pub queue_rows: IntGauge,
    /// Runs that the server stopped, or tried to stop.
    pub runs: ModelRuns,
    stages: Option<ModelStages>,
    /// The counts for the statistics extension.
    pub statistics: Statistics,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Two metrics share a name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        Self::with_names_of(MetricsCompat::default())
    }

    /// Registers every metric, and those under other servers' names that `others` selects.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn with_names_of(others: MetricsCompat) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        metrics_process::register(&registry)?;
        let model = ["model", "version"];
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
            register(&registry, HistogramVec::new(options, labels)?)
        };
        Ok(Self {
            request_duration: seconds(
                "decima_request_duration_seconds",
                "Time from the request's headers to its response.",
                &["model", "version", "protocol", "code"],
            )?,
            queue_duration: seconds(
                "decima_queue_duration_seconds",
                "Time that a request waited for its batch to start.",
                &model,
            )?,
            compute_duration: seconds(
                "decima_compute_duration_seconds",
                "Time of a batch in ONNX Runtime, including joining the inputs and splitting the outputs.",
                &model,
            )?,
            batch_rows: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new("decima_batch_rows", "Rows of the batches that ran.")
                        .buckets(ROW_BUCKETS.to_vec()),
                    &model,
                )?,
            )?,
            queue_rows: register(
                &registry,
                IntGaugeVec::new(Opts::new("decima_queue_rows", "Rows that wait in the queue."), &model)?,
            )?,
            runs: Runs::new(&registry)?,
            predictions: Predictions::new(&registry)?,
            rejected: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "decima_rejected_total",
                        "Inference requests that got an error response, by reason.",
                    ),
                    &["reason"],
                )?,
            )?,
            corrections: Corrections::new(&registry)?,
            model_ready: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("decima_model_ready", "1 while the version is ready, else 0."),
                    &model,
                )?,
            )?,
            model_load_duration: register(
                &registry,
                GaugeVec::new(
                    Opts::new("decima_model_load_duration_seconds", "Time to load and warm the version."),
                    &model,
                )?,
            )?,
            build_info: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "decima_build_info",
                        "Always 1; the labels are the versions of Decima and ONNX Runtime.",
                    ),
                    &["version", "onnxruntime"],
                )?,
            )?,
            in_flight: register(
                &registry,
                IntGauge::new("decima_in_flight_requests", "Inference requests in progress.")?,
            )?,
            triton: others.triton,
            stages: others.kserve.then(|| StageDurations::new(&registry)).transpose()?,
            registry,
        })
    }

    /// Sets the versions of the server and of ONNX Runtime.
    pub fn set_build_info(&self, onnxruntime: &str) {
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), onnxruntime]).set(1);
    }

    /// Counts a request that got an error response.
    pub fn rejected(&self, code: ErrorCode) {
        self.rejected.with_label_values(&[code.label()]).inc();
    }

    /// Counts a correction for `model`, which is empty if no model was found.
    pub fn correction(&self, model: &str, refused: Option<ErrorCode>) {
        self.corrections.count(model, refused);
    }

    /// Sets a version to not ready.
    pub fn not_ready(&self, name: &str, version: &str) {
        self.model_ready.with_label_values(&[name, version]).set(0);
    }

    /// Makes the metrics of one version of a model.
    pub fn model(&self, name: &str, version: &str) -> Arc<ModelMetrics> {
        let labels = [name, version];
        let succeeded = Protocol::ALL.map(|protocol| {
            self.request_duration.with_label_values(&[name, version, protocol.label(), "200"])
        });
        Arc::new(ModelMetrics {
            labels: labels.map(str::to_owned),
            all: self.clone(),
            succeeded,
            queue_duration: self.queue_duration.with_label_values(&labels),
            compute_duration: self.compute_duration.with_label_values(&labels),
            batch_rows: self.batch_rows.with_label_values(&labels),
            queue_rows: self.queue_rows.with_label_values(&labels),
            runs: self.runs.model(&labels),
            stages: self.stages.as_ref().map(|stages| stages.model(name)),
            statistics: Statistics::default(),
        })
    }

    /// Makes the counts of what a version predicts, which has these labels. Without labels there are none, and those of a
    /// version before it with the same name are removed.
    pub fn predictions(&self, name: &str, version: &str, labels: &[String]) -> Option<ModelPredictions> {
        let names = [name, version];
        if labels.is_empty() {
            self.predictions.remove(names);
            return None;
        }
        Some(self.predictions.model(names, labels))
    }

    /// Renders all metrics in Prometheus' text format 0.0.4. Calls `models` only if Triton's names are switched on.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn render(&self, models: impl FnOnce() -> Vec<ModelCounts>) -> Result<String, prometheus::Error> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        if self.triton {
            text.push_str(&triton(&models(), &self.request_duration)?);
        }
        Ok(text)
    }
}

/// A stage in progress; see [`ModelMetrics::time`].
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Timed {
    _timer: Option<HistogramTimer>,
    _span: Phase,
}

impl ModelMetrics {
    /// Returns the names of the model and the version.
    pub fn names(&self) -> [&str; 2] {
        self.labels.each_ref().map(String::as_str)
    }

    /// Measures a stage until the value is dropped, if `KServe`'s histograms or traces are switched on.
    pub fn time(&self, stage: Stage) -> Timed {
        let timer = self.stages.as_ref().map(|stages| stages[stage as usize].start_timer());
        Timed { _timer: timer, _span: phase(stage.name()) }
    }

    /// Counts a request that was answered with this HTTP status after `took`.
    pub fn answered(&self, protocol: Protocol, code: u16, took: Duration) {
        self.statistics.answered(code == 200, took);
        if code == 200 {
            self.succeeded[protocol as usize].observe(took.as_secs_f64());
        } else {
            let [name, version] = &self.labels;
            self.all
                .request_duration
                .with_label_values(&[name.as_str(), version, protocol.label(), &code.to_string()])
                .observe(took.as_secs_f64());
        }
    }

    /// Sets the version to ready, after a load that took `took`.
    pub fn ready(&self, took: Duration) {
        let labels = self.names();
        self.all.model_ready.with_label_values(&labels).set(1);
        self.all.model_load_duration.with_label_values(&labels).set(took.as_secs_f64());
    }

    /// Sets whether a loaded version is ready.
    pub fn answers(&self, answers: bool) {
        self.all.model_ready.with_label_values(&self.names()).set(i64::from(answers));
    }

    /// Sets the version to not ready after it was taken out of service. What it predicted is no longer told.
    pub fn gone(&self) {
        self.answers(false);
        self.all.predictions.remove(self.names());
        self.queue_rows.set(0);
    }
}
