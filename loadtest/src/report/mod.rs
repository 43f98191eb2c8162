//! The results of a run, as JSON and as a table.

mod table;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    failure::FailureKind,
    recorder::Recorder,
    schedule::{Pace, Schedule},
};

/// Name and version of the JSON schema (`report.schema.json`). The version increases with each change that breaks
/// readers.
pub const SCHEMA: &str = "decima-loadtest/1";

/// The results of a run. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The constant [`SCHEMA`].
    pub schema: &'static str,
    /// The server and model under test.
    pub target: Target,
    /// The load that was sent.
    pub load: LoadShape,
    /// Whether the run was interrupted, for example by Ctrl-C.
    pub interrupted: bool,
    /// Length of the measurement, from the end of the warm-up.
    pub measured_seconds: f64,
    /// Number of measured requests, by result.
    pub requests: Requests,
    /// Correct responses during the measurement, divided by its length.
    pub throughput: Throughput,
    /// Latency of correct responses. Absent if there were none.
    pub latency_seconds: Option<Percentiles>,
    /// Delay between the due time and the send time, for correct responses. Absent in a closed loop.
    pub send_delay_seconds: Option<Percentiles>,
    /// Failures, by kind.
    pub errors: Vec<ErrorCount>,
}

/// The server and model under test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// URL of the server.
    pub url: String,
    /// Name of the server, from its metadata.
    pub server_name: String,
    /// Version of the server, from its metadata.
    pub server_version: String,
    /// Name of the model.
    pub model: String,
    /// Version of the model. Absent if the server chose it.
    pub model_version: Option<String>,
}

/// The load that was sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadShape {
    /// Kind of loop: `closed` or `open`.
    #[serde(rename = "loop")]
    pub pace: &'static str,
    /// Requests per second of an open loop. Absent in a closed loop.
    pub rate_per_second: Option<f64>,
    /// `json`, `binary` or `grpc`.
    pub wire: String,
    /// Number of connections. Each sends one request at a time.
    pub connections: usize,
    /// Number of threads that serve the connections.
    pub threads: usize,
    /// Rows in each request.
    pub rows_per_request: usize,
    /// Number of different requests, sent in turn.
    pub distinct_requests: usize,
    /// Length of the warm-up, which the figures do not include.
    pub warmup_seconds: f64,
    /// Longest time to wait for a response.
    pub timeout_seconds: f64,
    /// Seed of the generated requests.
    pub seed: u64,
}

/// Number of requests, by result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// Correct responses.
    pub succeeded: u64,
    /// Wrong responses, those during the warm-up included.
    pub wrong: u64,
    /// Requests that failed in another way.
    pub failed: u64,
}

/// Rates during the measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Correct responses per second.
    pub requests_per_second: f64,
    /// Rows of correct responses per second.
    pub rows_per_second: f64,
}

/// A distribution of times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Mean.
    pub mean: f64,
    /// 50th percentile, the median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

/// The failures of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorCount {
    /// Name of the kind.
    pub kind: String,
    /// Number of failures.
    pub count: u64,
    /// Message of the first failure.
    pub first_message: String,
}

/// The figures of a run, from which a report is made.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Schedule of the run.
    pub schedule: Schedule,
    /// Figures of the run.
    pub recorder: &'a Recorder,
    /// Length of the measurement.
    pub window: Duration,
    /// Whether the run was interrupted.
    pub interrupted: bool,
}

impl Report {
    /// Makes the report.
    pub fn new(target: Target, load: LoadShape, outcome: Outcome<'_>) -> Self {
        let Outcome { schedule, recorder, window, interrupted } = outcome;
        let wrong = recorder.failures.count(FailureKind::Wrong);
        let seconds = window.as_secs_f64();
        let rate = if seconds > 0.0 { recorder.answered_in_window as f64 / seconds } else { 0.0 };
        let is_open = matches!(schedule.pace, Pace::Open { .. });
        let errors = recorder.failures.iter().map(|(kind, count, message)| ErrorCount {
            kind: kind.to_string(),
            count,
            first_message: message.to_owned(),
        });
        Self {
            schema: SCHEMA,
            interrupted,
            measured_seconds: seconds,
            requests: Requests {
                succeeded: recorder.succeeded(),
                wrong,
                failed: recorder.failures.total() - wrong,
            },
            throughput: Throughput {
                requests_per_second: rate,
                rows_per_second: rate * load.rows_per_request as f64,
            },
            latency_seconds: Percentiles::of(&recorder.latency),
            send_delay_seconds: Percentiles::of(&recorder.send_delay).filter(|_| is_open),
            errors: errors.collect(),
            target,
            load,
        }
    }

    /// Whether there were responses, and none of them was wrong.
    pub fn is_good(&self) -> bool {
        self.requests.succeeded > 0 && self.requests.wrong == 0
    }
}

impl Percentiles {
    /// The percentiles of a histogram of nanoseconds. `None` if it is empty.
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let quantile = |quantile| seconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            mean: histogram.mean() / 1e9,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: seconds(histogram.max()),
        })
    }
}

#[cfg(test)]
mod tests;
