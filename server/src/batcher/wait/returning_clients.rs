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
    /// Makes the policy for a model with this run cost.
    pub(in crate::batcher) fn new(cost: RunCost) -> Self {
        Self { requests: AtomicUsize::new(0), cost, probe: JoinProbe::new() }
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
    fn the_longest_wait_grows_with_the_row() {
        assert_eq!(ReturningClients::max_gap(Duration::from_millis(16)), Duration::from_millis(1));
        assert_eq!(ReturningClients::max_gap(Duration::from_micros(300)), tuning::MIN_RETURN_WAIT);
    }

    #[test]
    fn joining_a_run_that_reads_its_weights_once_saves_most_of_a_run() {
        let row = Duration::from_millis(3);
        let even = ReturningClients::new(RunCost::of_rows(row));
        let cheap = ReturningClients::new(RunCost { first_row: row, further_row: row / 4 });
        assert!(even.saved_by_joining(row) < row / 4);
        assert_eq!(cheap.saved_by_joining(row / 2), row / 4 * 3);
    }
}
