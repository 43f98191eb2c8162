//! Computes when each request is due, from the time since the run began.
//!
//! In a closed loop, a connection sends its next request when it has received a response. In an open loop, request `n`
//! is due at `n / rate` seconds regardless of the server, and its latency counts from that time. So if a server stalls,
//! every request that was due meanwhile has a higher latency.

use std::time::Duration;

/// What determines when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each connection sends a request as soon as it has its last response.
    Closed,
    /// All connections together send requests at equal intervals.
    Open {
        /// Requests per second; above 0.
        rate: f64,
    },
}

/// The schedule of a run. Times count from its start, warm-up included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Closed or open loop.
    pub pace: Pace,
    /// Length of the warm-up. Its requests are sent but not measured.
    pub warmup: Duration,
    /// Length of the measurement after the warm-up, if it is limited.
    pub duration: Option<Duration>,
    /// Number of requests to measure, if it is limited.
    pub requests: Option<u64>,
}

/// A phase of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Requests are sent but not measured.
    Warmup,
    /// Requests are sent and measured.
    Measured,
    /// No more requests are started.
    Over,
}

impl Schedule {
    /// The phase at the time `at`.
    pub fn phase(&self, at: Duration) -> Phase {
        if at < self.warmup {
            Phase::Warmup
        } else if self.duration.is_some_and(|duration| at >= self.warmup + duration) {
            Phase::Over
        } else {
            Phase::Measured
        }
    }

    /// When request `number` is due in an open loop, and its phase. Numbers start at 0 and include the warm-up.
    ///
    /// `None` in a closed loop, where a request is due when its connection is free.
    pub fn arrival(&self, number: u64) -> Option<(Duration, Phase)> {
        let Pace::Open { rate } = self.pace else { return None };
        let due = Duration::from_secs_f64(number as f64 / rate);
        let phase = match self.phase(due) {
            Phase::Measured
                if self.requests.is_some_and(|limit| number - self.warmup_arrivals(rate) >= limit) =>
            {
                Phase::Over
            }
            phase => phase,
        };
        Some((due, phase))
    }

    /// The fraction of the run that is done, from 0 to 1, at the time `at` with `answered` responses measured.
    pub fn fraction(&self, at: Duration, answered: u64) -> f64 {
        let by_time = self.duration.map(|duration| at.as_secs_f64() / (self.warmup + duration).as_secs_f64());
        let by_count = self.requests.map(|limit| answered as f64 / limit as f64);
        by_time.unwrap_or(0.0).max(by_count.unwrap_or(0.0)).min(1.0)
    }

    /// The number of requests that an open loop sends in the warm-up. It is also the number of the first measured
    /// request.
    fn warmup_arrivals(&self, rate: f64) -> u64 {
        let mut number = (self.warmup.as_secs_f64() * rate).ceil() as u64;
        // The product is rounded, so search for the exact number at which the phase changes.
        while number > 0 && Duration::from_secs_f64((number - 1) as f64 / rate) >= self.warmup {
            number -= 1;
        }
        while Duration::from_secs_f64(number as f64 / rate) < self.warmup {
            number += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(pace: Pace, duration: Option<u64>, requests: Option<u64>) -> Schedule {
        Schedule {
            pace,
            warmup: Duration::from_secs(1),
            duration: duration.map(Duration::from_secs),
            requests,
        }
    }

    fn count(schedule: &Schedule) -> (usize, usize) {
        let phases: Vec<Phase> = (0..)
            .map_while(|number| schedule.arrival(number))
            .map(|(_, phase)| phase)
            .take_while(|&phase| phase != Phase::Over)
            .collect();
        let warmup = phases.iter().filter(|&&phase| phase == Phase::Warmup).count();
        (warmup, phases.len() - warmup)
    }

    #[test]
    fn phases_follow_each_other() {
        let schedule = schedule(Pace::Closed, Some(2), None);
        let at = |millis| schedule.phase(Duration::from_millis(millis));
        assert_eq!(at(0), Phase::Warmup);
        assert_eq!(at(999), Phase::Warmup);
        assert_eq!(at(1000), Phase::Measured);
        assert_eq!(at(2999), Phase::Measured);
        assert_eq!(at(3000), Phase::Over);
    }

    #[test]
    fn closed_loop_has_no_arrivals() {
        assert_eq!(schedule(Pace::Closed, Some(2), None).arrival(0), None);
    }

    #[test]
    fn the_nearer_end_says_how_much_is_done() {
        let schedule = schedule(Pace::Closed, Some(3), Some(10));
        assert!((schedule.fraction(Duration::from_secs(2), 1) - 0.5).abs() < 1e-9);
        assert!((schedule.fraction(Duration::from_secs(2), 9) - 0.9).abs() < 1e-9);
        assert!((schedule.fraction(Duration::from_secs(9), 1) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn open_loop_is_evenly_spaced_from_the_start() {
        let schedule = schedule(Pace::Open { rate: 250.0 }, Some(2), None);
        for number in 0..500 {
            let (due, _) = schedule.arrival(number).unwrap();
            assert_eq!(due.as_nanos(), u128::from(number) * 4_000_000, "request {number}");
        }
    }

    #[test]
    fn open_loop_sends_rate_times_duration() {
        for (rate, warmup, measured) in [(250.0, 250, 500), (0.5, 1, 1), (3.0, 3, 6), (1e5, 100_000, 200_000)]
        {
            let schedule = schedule(Pace::Open { rate }, Some(2), None);
            assert_eq!(count(&schedule), (warmup, measured), "rate {rate}");
        }
    }

    #[test]
    fn open_loop_counts_requests_after_the_warmup() {
        for rate in [0.3, 3.0, 7.0, 1000.0 / 3.0] {
            let schedule = schedule(Pace::Open { rate }, None, Some(5));
            assert_eq!(count(&schedule).1, 5, "rate {rate}");
        }
    }
}
