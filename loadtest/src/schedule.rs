//! When each request is due, as pure arithmetic on the time since the run began.
//!
//! A closed loop sends a connection's next request when its last one is answered. An open loop sends
//! request `n` at `n / rate` seconds whatever the server does, and its latency counts from that moment:
//! a server that stalls is charged for every request that should have been sent meanwhile.

use std::time::Duration;

/// What decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each connection sends as soon as it has its last answer.
    Closed,
    /// So many requests a second, evenly spaced, over all connections together.
    Open {
        /// Requests a second, above 0.
        rate: f64,
    },
}

/// The run's timetable. Times are since its start, warm-up included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Closed or open loop.
    pub pace: Pace,
    /// Requests of this first stretch are sent, and left out of the figures.
    pub warmup: Duration,
    /// Length of the measured stretch after the warm-up, where it is limited.
    pub duration: Option<Duration>,
    /// Number of measured requests, where it is limited.
    pub requests: Option<u64>,
}

/// Part of the run that a moment falls in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Left out of the figures.
    Warmup,
    /// Counted.
    Measured,
    /// No request starts any more.
    Over,
}

impl Schedule {
    /// The phase at `at`.
    pub fn phase(&self, at: Duration) -> Phase {
        if at < self.warmup {
            Phase::Warmup
        } else if self.duration.is_some_and(|duration| at >= self.warmup + duration) {
            Phase::Over
        } else {
            Phase::Measured
        }
    }

    /// When request `number` (from 0, warm-up included) is due in an open loop, and its phase.
    ///
    /// `None` in a closed loop, where requests are due when their connection is free.
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

    /// How much of the run is done, from 0 to 1, at `at` with `answered` measured requests answered.
    pub fn fraction(&self, at: Duration, answered: u64) -> f64 {
        let by_time = self.duration.map(|duration| at.as_secs_f64() / (self.warmup + duration).as_secs_f64());
        let by_count = self.requests.map(|limit| answered as f64 / limit as f64);
        by_time.unwrap_or(0.0).max(by_count.unwrap_or(0.0)).min(1.0)
    }

    /// How many requests an open loop of `rate` sends in the warm-up: the number of the first measured one.
    fn warmup_arrivals(&self, rate: f64) -> u64 {
        let mut number = (self.warmup.as_secs_f64() * rate).ceil() as u64;
        // The product is rounded: settle on the very number at which the phase changes.
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
