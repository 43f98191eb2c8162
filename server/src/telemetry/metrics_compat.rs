//! The same metrics under the names of Triton and `KServe`, for existing dashboards.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, proto::Metric,
};

use oip::{Durations, ModelStatistics};

use super::metrics_registry::{DURATION_BUCKETS, label, register};

/// The values for Triton's metrics, for one version of a model.
#[derive(Clone, Debug)]
pub struct ModelCounts {
    /// Its statistics.
    pub statistics: ModelStatistics,
    /// Requests that wait for it at the moment.
    pub pending: usize,
}

const MODEL: [&str; 2] = ["model", "version"];

type Read = fn(&ModelStatistics) -> u64;

/// Triton's counters that can be computed from the statistics: name, help text, value.
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

/// Triton's labels for the reasons of failures.
const REASONS: [&str; 4] = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];

/// Renders Triton's metrics as text. They are computed from what is counted anyway: `models`, and the histogram
/// `requests` of durations by model, version and code.
///
/// # Errors
/// Two metrics have the same name, which is a mistake in this file, or the encoder fails.
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

/// Returns the reason of a failure with this status code; `None` for success. 499 means that the client disconnected
/// before the response.
fn reason_of(code: &str) -> Option<&'static str> {
    match code {
        "200" => None,
        "429" | "503" | "504" => Some("REJECTED"),
        "499" => Some("CANCELED"),
        "500" => Some("BACKEND"),
        _ => Some("OTHER"),
    }
}

/// A stage of a request, as `KServe`'s servers measure it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the body to input tensors.
    Preprocess,
    /// From input tensors to output tensors, including the wait in the queue.
    Predict,
    /// From output tensors to the body of the response.
    Postprocess,
}

impl Stage {
    /// Returns the name of the stage's span.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Preprocess => "preprocess",
            Self::Predict => "predict",
            Self::Postprocess => "postprocess",
        }
    }
}

/// `KServe`'s histograms, one for each stage.
#[derive(Clone, Debug)]
pub(super) struct StageDurations([HistogramVec; 3]);

/// The histograms of one model.
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
