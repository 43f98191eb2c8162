//! Collects the figures of a run. Each thread has one recorder; they are merged at the end.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::{Failure, FailureKind, Failures};

/// Longest time that a histogram can represent. Longer times are recorded as this one.
const MAX_TIME: Duration = Duration::from_hours(1);

/// Precision of a recorded time, in significant decimal digits.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Times of one request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From when the request was due (open loop) or sent (closed loop) until the last byte of its response.
    pub latency: Duration,
    /// From when the request was due until it was sent; zero in a closed loop.
    pub send_delay: Duration,
    /// Whether the response came before the end of the measurement.
    pub in_window: bool,
}

/// Counts and histograms of the measured requests.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Latencies of correct responses, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Delays between the due time and the send time of requests with correct responses, in nanoseconds.
    pub send_delay: Histogram<u64>,
    /// Number of correct responses before the end of the measurement.
    pub answered_in_window: u64,
    /// Failures of measured requests. Wrong responses count during the warm-up too.
    pub failures: Failures,
}

impl Recorder {
    /// An empty recorder.
    pub fn new() -> Self {
        let empty = Histogram::new_with_bounds(1, MAX_TIME.as_nanos() as u64, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants within the histogram's range");
        Self {
            latency: empty.clone(),
            send_delay: empty,
            answered_in_window: 0,
            failures: Failures::default(),
        }
    }

    /// Records a correct response.
    pub fn answered(&mut self, timing: Timing) {
        self.latency.saturating_record(nanos(timing.latency));
        self.send_delay.saturating_record(nanos(timing.send_delay));
        self.answered_in_window += u64::from(timing.in_window);
    }

    /// Records a failure. A wrong response counts even during the warm-up, because it is never acceptable.
    pub fn failed(&mut self, failure: Failure, measured: bool) {
        if measured || failure.kind == FailureKind::Wrong {
            self.failures.add(failure);
        }
    }

    /// The number of correct responses.
    pub fn succeeded(&self) -> u64 {
        self.latency.len()
    }

    /// Adds the figures of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("every recorder has the same bounds");
        self.send_delay.add(&other.send_delay).expect("every recorder has the same bounds");
        self.answered_in_window += other.answered_in_window;
        self.failures.merge(&other.failures);
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(millis: u64) -> Timing {
        Timing { latency: Duration::from_millis(millis), send_delay: Duration::ZERO, in_window: millis < 900 }
    }

    #[test]
    fn percentiles_are_exact_to_three_digits_across_threads() {
        let mut recorders = [Recorder::new(), Recorder::new()];
        for millis in 1..=1000 {
            recorders[millis as usize % 2].answered(timing(millis));
        }
        let [mut all, other] = recorders;
        all.merge(&other);
        assert_eq!((all.succeeded(), all.answered_in_window), (1000, 899));
        for (quantile, millis) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let got = all.latency.value_at_quantile(quantile) as f64 / 1e6;
            assert!((got / millis - 1.0).abs() < 1e-3, "p{quantile}: {got} ms");
        }
    }

    #[test]
    fn times_beyond_the_range_are_kept_at_its_end() {
        let mut recorder = Recorder::new();
        recorder.answered(timing(100 * 3_600_000));
        assert_eq!(recorder.succeeded(), 1);
        assert!(recorder.latency.max() >= MAX_TIME.as_nanos() as u64);
    }

    #[test]
    fn warmup_counts_only_wrong_answers() {
        let mut recorder = Recorder::new();
        recorder.failed(Failure::new(FailureKind::Timeout, "slow start"), false);
        recorder.failed(Failure::new(FailureKind::Wrong, "NaN"), false);
        recorder.failed(Failure::new(FailureKind::Timeout, "slow"), true);
        assert_eq!(recorder.failures.count(FailureKind::Wrong), 1);
        assert_eq!(recorder.failures.count(FailureKind::Timeout), 1);
    }
}
