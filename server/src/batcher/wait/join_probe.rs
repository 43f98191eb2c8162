//! Whether probing for more requests pays.
//!
//! A leader that yields to the runtime lets other requests join its batch, and each of them saves a run of its own.
//! Yielding costs a poll of every socket, and it may wake an idle thread for nothing: with a single connection it
//! costs as much as all of HTTP. So leaders probe always while probes save more than they cost, and for a few batches
//! of each period otherwise.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use crate::batcher::tuning;

/// One request in the fixed-point number that the moving average is kept in.
const ONE_REQUEST: u32 = 1 << 16;

/// Returns what a request saves by joining a batch instead of having a run of its own, given the time of one row.
pub(in crate::batcher) fn saved_by_joining(row: Duration) -> Duration {
    tuning::RUN_OVERHEAD + row / tuning::RUN_SHARE_OF_ROW
}

/// What recent probes have brought. Two threads may overwrite each other's update, which does no harm to an average.
#[derive(Debug)]
pub(in crate::batcher) struct JoinProbe {
    /// Moving average of the requests that join during a probe, in units of 1/[`ONE_REQUEST`].
    joining: AtomicU32,
    pays: AtomicBool,
    /// Batches so far; wraps.
    batches: AtomicU32,
}

impl JoinProbe {
    /// Starts with the assumption that probes pay.
    pub(in crate::batcher) const fn new() -> Self {
        Self { joining: AtomicU32::new(ONE_REQUEST), pays: AtomicBool::new(true), batches: AtomicU32::new(0) }
    }

    /// Counts a batch, and returns whether its leader should probe.
    pub(in crate::batcher) fn should_probe(&self) -> bool {
        let batches = self.batches.load(Ordering::Relaxed);
        self.batches.store(batches.wrapping_add(1), Ordering::Relaxed);
        self.pays.load(Ordering::Relaxed) || batches % tuning::PROBE_PERIOD < tuning::TRIAL_PROBES
    }

    /// Records a probe: its `cost`, how many requests `joined`, and what each of them `saved`.
    pub(in crate::batcher) fn record(&self, joined: usize, saved: Duration, cost: Duration) {
        let joined = u32::try_from(joined).unwrap_or(u32::MAX).min(u32::MAX / ONE_REQUEST) * ONE_REQUEST;
        let known = self.joining.load(Ordering::Relaxed);
        let length = tuning::PROBE_AVERAGE_LENGTH;
        let joining = known - known / length + joined / length;
        self.joining.store(joining, Ordering::Relaxed);
        let saves = u128::from(joining) * saved.as_nanos() / u128::from(ONE_REQUEST);
        let percent = if self.pays.load(Ordering::Relaxed) { tuning::KEEP_PROBING_PERCENT } else { 100 };
        self.pays.store(saves * 100 >= cost.as_nanos() * percent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tuning::{PROBE_PERIOD, TRIAL_PROBES};

    use super::*;

    const SHORT: Duration = Duration::from_nanos(500);
    const LONG: Duration = Duration::from_millis(6);

    /// Counts the batches, of `batches`, whose leader probes, where each probe brings `joined` requests.
    fn probes(probe: &JoinProbe, batches: u32, joined: usize, row: Duration) -> u32 {
        let form = |_: &u32| {
            let should_probe = probe.should_probe();
            if should_probe {
                probe.record(joined, saved_by_joining(row), tuning::PROBE_COST);
            }
            should_probe
        };
        u32::try_from((0..batches).filter(form).count()).unwrap()
    }

    #[test]
    fn where_no_request_joins_only_trial_probes_remain() {
        for row in [SHORT, LONG] {
            let probe = JoinProbe::new();
            probes(&probe, PROBE_PERIOD, 0, row);
            assert_eq!(probes(&probe, PROBE_PERIOD, 0, row), TRIAL_PROBES, "{row:?}");
        }
    }

    #[test]
    fn leaders_always_probe_where_that_saves_more_than_it_costs() {
        for (joined, row, always) in [(1, SHORT, false), (2, SHORT, true), (1, LONG, true)] {
            let probe = JoinProbe::new();
            probes(&probe, PROBE_PERIOD, joined, row);
            assert_eq!(probes(&probe, PROBE_PERIOD, joined, row) == PROBE_PERIOD, always, "{joined} {row:?}");
        }
    }

    #[test]
    fn trial_probes_notice_when_requests_begin_to_join() {
        let probe = JoinProbe::new();
        probes(&probe, PROBE_PERIOD, 0, SHORT);
        probes(&probe, 2 * PROBE_PERIOD, 15, SHORT);
        assert_eq!(probes(&probe, PROBE_PERIOD, 15, SHORT), PROBE_PERIOD);
    }
}
