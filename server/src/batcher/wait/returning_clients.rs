//! Whether and how long a leader waits for the clients of the previous batch.
//!
//! A client that has just been answered often sends its next request at once, a moment too late for the batch that
//! follows. Two such clients take turns, each alone in its batch.
//!
//! Where a single instance runs on all cores, that costs twice. A run of two rows takes less time than two runs. And
//! the threads of a run wait for each other several times, which takes longer while the same cores also read requests
//! and write answers. So the leader of such an instance waits briefly until as many requests are present as at the
//! end of the previous batch.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::join_probe::{JoinProbe, saved_by_joining};
use crate::{batcher::tuning, executor::RunCost};

/// How many requests were present at the end of the previous batch, and whether waiting for them has paid.
#[derive(Debug)]
pub(in crate::batcher) struct ReturningClients {
    requests: AtomicUsize,
    cost: RunCost,
    /// Whether waiting for them has paid lately.
    pub(in crate::batcher) probe: JoinProbe,
}

impl ReturningClients {
    /// Returns the policy for a model with this run cost, or `None` where its rows are too short.
    pub(in crate::batcher) fn for_model(cost: RunCost) -> Option<Self> {
        let new = || Self { requests: AtomicUsize::new(0), cost, probe: JoinProbe::new() };
        (cost.first_row >= tuning::RETURNING_CLIENTS_ROW_TIME).then(new)
    }

    /// Records that a batch has ended with `requests` in it and in the queue behind it.
    pub(in crate::batcher) fn record(&self, requests: usize) {
        self.requests.store(requests, Ordering::Relaxed);
    }

    /// Returns how many requests were present at the end of the previous batch.
    pub(in crate::batcher) fn expected(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the longest wait for the next of them, given the time of one row.
    pub(in crate::batcher) fn max_gap(row: Duration) -> Duration {
        (row / tuning::RETURN_WAIT_SHARE_OF_ROW).max(tuning::MIN_RETURN_WAIT)
    }

    /// Returns what each of them saves by joining, given the time of one row.
    pub(in crate::batcher) fn saved_by_joining(&self, row: Duration) -> Duration {
        saved_by_joining(row).max(self.cost.saved_by_joining())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_waits_only_where_rows_are_long_enough() {
        let of =
            |microseconds| ReturningClients::for_model(RunCost::of_rows(Duration::from_micros(microseconds)));
        assert!(of(60).is_none());
        assert!(of(300).is_some());
        assert_eq!(ReturningClients::max_gap(Duration::from_millis(16)), Duration::from_millis(1));
        assert_eq!(ReturningClients::max_gap(Duration::from_micros(300)), tuning::MIN_RETURN_WAIT);
    }

    #[test]
    fn joining_a_run_that_reads_its_weights_once_saves_most_of_a_run() {
        let row = Duration::from_millis(3);
        let even = ReturningClients::for_model(RunCost::of_rows(row)).unwrap();
        let cheap = ReturningClients::for_model(RunCost { first_row: row, further_row: row / 4 }).unwrap();
        assert!(even.saved_by_joining(row) < row / 4);
        assert_eq!(cheap.saved_by_joining(row / 2), row / 4 * 3);
    }
}
