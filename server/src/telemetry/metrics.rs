//! Every metric of the server: names, help texts, buckets. Handles are resolved once, not per request.

use std::{sync::Arc, time::Duration};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use super::{
    metrics_compat::{ModelCounts, ModelStages, Stage, StageDurations, triton},
    metrics_feedback::Corrections,
    metrics_registry::{DURATION_BUCKETS, register},
    metrics_runs::{ModelRuns, Runs},
    statistics::Statistics,
    traces::{Phase, phase},
};
use crate::{config::MetricsCompat, error::ErrorCode};

const ROW_BUCKETS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// By which protocol a request came.
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

/// All metrics, registered.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    request_duration: HistogramVec,
    queue_duration: HistogramVec,
    compute_duration: HistogramVec,
    batch_rows: HistogramVec,
    queue_rows: IntGaugeVec,
    runs: Runs,
    rejected: IntCounterVec,
    corrections: Corrections,
    model_ready: IntGaugeVec,
    model_load_duration: GaugeVec,
    build_info: IntGaugeVec,
    /// Requests for inference that are being answered now.
    pub in_flight: IntGauge,
    /// Whether Triton's names are rendered too.
    triton: bool,
    /// `KServe`'s names, where they are wanted.
    stages: Option<StageDurations>,
}

/// The metrics of one version of a model.
#[derive(Debug)]
pub struct ModelMetrics {
    labels: [String; 2],
    all: Metrics,
    succeeded: [Histogram; Protocol::ALL.len()],
    /// Time from arrival to the start of the run.
    pub queue_duration: Histogram,
    /// Time of a batch: gather, run, scatter.
    pub compute_duration: Histogram,
    /// Rows of the batches that ran; its sum over its count is the mean batch.
    pub batch_rows: Histogram,
    /// Rows that wait, as of the last time that somebody asked.
    pub queue_rows: IntGauge,
    /// Runs that did not end by themselves.
    pub runs: ModelRuns,
    stages: Option<ModelStages>,
    /// The same counts as the statistics extension wants them.
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

    /// Registers every metric, and those of other servers.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn with_names_of(others: MetricsCompat) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let model = ["model", "version"];
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
            register(&registry, HistogramVec::new(options, labels)?)
        };
        Ok(Self {
            request_duration: seconds(
                "decima_request_duration_seconds",
                "Time from the request's head to its answer.",
                &["model", "version", "protocol", "code"],
            )?,
            queue_duration: seconds(
                "decima_queue_duration_seconds",
                "Time that a request waited for its batch to start.",
                &model,
            )?,
            compute_duration: seconds(
                "decima_compute_duration_seconds",
                "Time of a batch in ONNX Runtime, joining and dividing its rows included.",
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
            rejected: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "decima_rejected_total",
                        "Requests for inference that were not answered with success.",
                    ),
                    &["reason"],
                )?,
            )?,
            corrections: Corrections::new(&registry)?,
            model_ready: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("decima_model_ready", "1 while the version answers requests."),
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
                    Opts::new("decima_build_info", "1; its labels say what runs."),
                    &["version", "onnxruntime"],
                )?,
            )?,
            in_flight: register(
                &registry,
                IntGauge::new(
                    "decima_in_flight_requests",
                    "Requests for inference that are being answered.",
                )?,
            )?,
            triton: others.triton,
            stages: others.kserve.then(|| StageDurations::new(&registry)).transpose()?,
            registry,
        })
    }

    /// Says which server and which ONNX Runtime these metrics come from.
    pub fn set_build_info(&self, onnxruntime: &str) {
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), onnxruntime]).set(1);
    }

    /// Counts a request that was answered with an error.
    pub fn rejected(&self, code: ErrorCode) {
        self.rejected.with_label_values(&[code.label()]).inc();
    }

    /// Counts a correction of an answer of `model`, which is empty where no model was found.
    pub fn correction(&self, model: &str, refused: Option<ErrorCode>) {
        self.corrections.count(model, refused);
    }

    /// Says that a version does not answer, though it should.
    pub fn not_ready(&self, name: &str, version: &str) {
        self.model_ready.with_label_values(&[name, version]).set(0);
    }

    /// The handles of one version of a model.
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

    /// The metrics as Prometheus' text format 0.0.4. `models` is asked only where Triton's names are wanted.
    ///
    /// # Errors
    /// The encoder's own.
    pub fn render(&self, models: impl FnOnce() -> Vec<ModelCounts>) -> Result<String, prometheus::Error> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        if self.triton {
            text.push_str(&triton(&models(), &self.request_duration)?);
        }
        Ok(text)
    }
}

/// A stage that goes on; see [`ModelMetrics::time`].
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Timed {
    _timer: Option<HistogramTimer>,
    _span: Phase,
}

impl ModelMetrics {
    /// The model and its version.
    pub fn names(&self) -> [&str; 2] {
        self.labels.each_ref().map(String::as_str)
    }

    /// Times a stage until the value is dropped, where anyone wants to know.
    pub fn time(&self, stage: Stage) -> Timed {
        let timer = self.stages.as_ref().map(|stages| stages[stage as usize].start_timer());
        Timed { _timer: timer, _span: phase(stage.name()) }
    }

    /// Counts a request that was answered, after `took`.
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

    /// Says that the version is ready after `took`.
    pub fn ready(&self, took: Duration) {
        let labels = self.names();
        self.all.model_ready.with_label_values(&labels).set(1);
        self.all.model_load_duration.with_label_values(&labels).set(took.as_secs_f64());
    }

    /// Says whether the version answers, which it did before.
    pub fn answers(&self, answers: bool) {
        self.all.model_ready.with_label_values(&self.names()).set(i64::from(answers));
    }

    /// Says that the version no longer answers.
    pub fn gone(&self) {
        self.answers(false);
        self.queue_rows.set(0);
    }
}
