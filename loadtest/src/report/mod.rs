//! What a run found, as JSON for programs and as a table for people.

mod table;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    failure::FailureKind,
    recorder::Recorder,
    schedule::{Pace, Schedule},
};

/// Name and version of the JSON's schema, `report.schema.json`: a number up where a reader would break.
pub const SCHEMA: &str = "decima-loadtest/1";

/// The whole report. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Who was asked.
    pub target: Target,
    /// What was sent.
    pub load: LoadShape,
    /// Whether the run was stopped from outside before its end.
    pub interrupted: bool,
    /// Length of the measured stretch, from the end of the warm-up.
    pub measured_seconds: f64,
    /// Measured requests by their end.
    pub requests: Requests,
    /// Right answers within the measured stretch, by its length.
    pub throughput: Throughput,
    /// Latency of right answers; absent where there was none.
    pub latency_seconds: Option<Percentiles>,
    /// Delay of right answers' requests behind the timetable; absent in a closed loop.
    pub send_delay_seconds: Option<Percentiles>,
    /// Failures by kind.
    pub errors: Vec<ErrorCount>,
}

/// The server and model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// Where the server is.
    pub url: String,
    /// Name that the server gives itself.
    pub server_name: String,
    /// Its version.
    pub server_version: String,
    /// The model asked.
    pub model: String,
    /// The version asked for; absent where the server chose.
    pub model_version: Option<String>,
}

/// How requests were made and sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadShape {
    /// `closed` or `open`.
    #[serde(rename = "loop")]
    pub pace: &'static str,
    /// Requests a second that an open loop was to send.
    pub rate_per_second: Option<f64>,
    /// `json` or `binary`.
    pub wire: String,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Threads that they were spread over.
    pub threads: usize,
    /// Rows in each request.
    pub rows_per_request: usize,
    /// Different requests sent in turn.
    pub distinct_requests: usize,
    /// Stretch left out of the figures.
    pub warmup_seconds: f64,
    /// Longest that a request might take.
    pub timeout_seconds: f64,
    /// Seed of the requests.
    pub seed: u64,
}

/// Counts of requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// Answered, and rightly.
    pub succeeded: u64,
    /// Answered wrongly; those of the warm-up count too.
    pub wrong: u64,
    /// Failed in any other way.
    pub failed: u64,
}

/// Rates over the measured stretch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Right answers a second.
    pub requests_per_second: f64,
    /// Their rows a second.
    pub rows_per_second: f64,
}

/// A distribution of times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The mean.
    pub mean: f64,
    /// Half took at most this.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// 99 in 100.
    pub p99: f64,
    /// 999 in 1000.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorCount {
    /// What it was.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The message of the first.
    pub first_message: String,
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Its timetable.
    pub schedule: Schedule,
    /// Its figures.
    pub recorder: &'a Recorder,
    /// Length of its measured stretch.
    pub window: Duration,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
}

impl Report {
    /// Draws the figures together.
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

    /// Whether the server did its work: something was answered, and nothing wrongly.
    pub fn is_good(&self) -> bool {
        self.requests.succeeded > 0 && self.requests.wrong == 0
    }
}

impl Percentiles {
    /// Of a histogram of nanoseconds; `None` where it is empty.
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
