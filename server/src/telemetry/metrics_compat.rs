//! The names under which other servers' users know the same facts, for dashboards that are there already.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, proto::Metric,
};

use oip::{Durations, ModelStatistics};

use super::metrics_registry::{DURATION_BUCKETS, register};

/// What Triton's counters are made of, for one version of a model.
#[derive(Clone, Debug)]
pub struct ModelCounts {
    /// What it has done.
    pub statistics: ModelStatistics,
    /// Requests that wait for it now.
    pub pending: usize,
}

const MODEL: [&str; 2] = ["model", "version"];

type Read = fn(&ModelStatistics) -> u64;

/// Triton's counters that its statistics have too.
const COUNTERS: [(&str, &str, Read); 8] = [
    ("nv_inference_request_success", "Requests answered with success.", |model| {
        model.inference_stats.success.count
    }),
    ("nv_inference_count", "Rows that ran.", |model| model.inference_count),
    ("nv_inference_exec_count", "Batches that ran.", |model| model.execution_count),
    ("nv_inference_request_duration_us", "Time of the requests answered with success.", |model| {
        microseconds(model.inference_stats.success)
    }),
    ("nv_inference_queue_duration_us", "Time that requests waited.", |model| {
        microseconds(model.inference_stats.queue)
    }),
    ("nv_inference_compute_input_duration_us", "Time to join inputs, by request.", |model| {
        microseconds(model.inference_stats.compute_input)
    }),
    ("nv_inference_compute_infer_duration_us", "Time in the model, by request.", |model| {
        microseconds(model.inference_stats.compute_infer)
    }),
    ("nv_inference_compute_output_duration_us", "Time to divide outputs, by request.", |model| {
        microseconds(model.inference_stats.compute_output)
    }),
];

/// Why requests fail, in Triton's words.
const REASONS: [&str; 4] = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];

/// Triton's metrics as text, made at the moment from what is counted anyway: `models`, and the durations of
/// requests by model, version and code.
///
/// # Errors
/// Two metrics share a name: a mistake in this file; or the encoder's own.
pub(super) fn triton(models: &[ModelCounts], requests: &HistogramVec) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    for (name, help, read) in COUNTERS {
        let counter = register(&registry, IntCounterVec::new(Opts::new(name, help), &MODEL)?)?;
        for ModelCounts { statistics, .. } in models {
            counter.with_label_values(&[&statistics.name, &statistics.version]).inc_by(read(statistics));
        }
    }
    let pending = Opts::new("nv_inference_pending_request_count", "Requests that wait.");
    let pending = register(&registry, IntGaugeVec::new(pending, &MODEL)?)?;
    let failures = Opts::new("nv_inference_request_failure", "Requests answered with an error.");
    let failures = IntCounterVec::new(failures, &["model", "version", "reason"])?;
    let failures = register(&registry, failures)?;
    let answered: Vec<Metric> =
        requests.collect().iter().flat_map(|family| family.get_metric().to_vec()).collect();
    for model in models {
        let ModelStatistics { name, version, .. } = &model.statistics;
        pending.with_label_values(&[name, version]).set(model.pending as i64);
        for reason in REASONS {
            let counter = failures.with_label_values(&[name, version, reason]);
            let of_reason = |metric: &&Metric| {
                label(metric, "model") == name
                    && label(metric, "version") == version
                    && reason_of(label(metric, "code")) == Some(reason)
            };
            let failed = answered.iter().filter(of_reason);
            counter.inc_by(failed.map(|metric| metric.get_histogram().get_sample_count()).sum());
        }
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

fn microseconds(durations: Durations) -> u64 {
    durations.ns / 1000
}

/// The value of a label; empty where there is none of that name.
fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

/// A request counts as canceled where its client went away before the answer.
fn reason_of(code: &str) -> Option<&'static str> {
    match code {
        "200" => None,
        "429" | "503" | "504" => Some("REJECTED"),
        "499" => Some("CANCELED"),
        "500" => Some("BACKEND"),
        _ => Some("OTHER"),
    }
}

/// A part of the way of a request, as `KServe`'s servers time it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From its body to tensors.
    Preprocess,
    /// From tensors to tensors, the wait included.
    Predict,
    /// From tensors to the body of its answer.
    Postprocess,
}

impl Stage {
    /// The stage as the name of a span.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Preprocess => "preprocess",
            Self::Predict => "predict",
            Self::Postprocess => "postprocess",
        }
    }
}

/// `KServe`'s histograms.
#[derive(Clone, Debug)]
pub(super) struct StageDurations([HistogramVec; 3]);

/// Those of one model.
pub(super) type ModelStages = [Histogram; 3];

impl StageDurations {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
            register(registry, HistogramVec::new(options, &["model_name"])?)
        };
        Ok(Self([
            histogram("request_preprocess_seconds", "Time to read a request.")?,
            histogram("request_predict_seconds", "Time to run a request, waiting included.")?,
            histogram("request_postprocess_seconds", "Time to write an answer.")?,
        ]))
    }

    pub(super) fn model(&self, name: &str) -> ModelStages {
        self.0.each_ref().map(|histogram| histogram.with_label_values(&[name]))
    }
}
