//! Clients that come again. Whoever has been answered is likely to ask the next thing at once, a moment too late for
//! the batch that follows: two clients would take turns, a batch of one each.
//!
//! Where a single instance runs on all cores, that costs twice. Its threads wait for each other several times in a run,
//! and for all the longer as requests come and answers go on the same cores meanwhile; and a run of two rows takes less
//! than two runs. So its leader waits a little for those who were there when the last batch ended, if they do come.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::join_probe::{self, JoinProbe};
use crate::executor::RunCost;

/// Models whose rows take less have no use for it.
const SHORTEST_ROW: Duration = Duration::from_micros(250);

/// A leader waits at most for such a part of a row's time for the next one to come,
const PART_OF_ROW: u32 = 16;

/// or, if that is longer, for as long as a client takes that asks again at once.
const RETURN: Duration = Duration::from_micros(100);

/// Who was there when the last batch ended.
#[derive(Debug)]
pub(in crate::batcher) struct ReturningClients {
    requests: AtomicUsize,
    time: RunCost,
    /// What waiting for them has brought.
    pub(in crate::batcher) join_probe: JoinProbe,
}

impl ReturningClients {
    /// Of a model whose runs take so long, if they take long enough.
    pub(in crate::batcher) fn of(time: RunCost) -> Option<Self> {
        let new = || Self { requests: AtomicUsize::new(0), time, join_probe: JoinProbe::new() };
        (time.first_row >= SHORTEST_ROW).then(new)
    }

    /// A batch has ended with so many requests in it and behind it.
    pub(in crate::batcher) fn remember(&self, requests: usize) {
        self.requests.store(requests, Ordering::Relaxed);
    }

    /// How many they are.
    pub(in crate::batcher) fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long a leader waits at most until the next of them comes, where a row takes so long.
    pub(in crate::batcher) fn patience(row: Duration) -> Duration {
        (row / PART_OF_ROW).max(RETURN)
    }

    /// What each of them saves by joining, where a row takes so long.
    pub(in crate::batcher) fn saved(&self, row: Duration) -> Duration {
        join_probe::saved(row).max(self.time.spared())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_waits_where_that_can_save_something() {
        let of = |microseconds| ReturningClients::of(RunCost::of_rows(Duration::from_micros(microseconds)));
        assert!(of(60).is_none());
        assert!(of(300).is_some());
        assert_eq!(ReturningClients::patience(Duration::from_millis(16)), Duration::from_millis(1));
        assert_eq!(ReturningClients::patience(Duration::from_micros(300)), RETURN);
    }

    #[test]
    fn whoever_joins_a_run_that_reads_its_weights_once_saves_most_of_one() {
        let row = Duration::from_millis(3);
        let even = ReturningClients::of(RunCost::of_rows(row)).unwrap();
        let cheap = ReturningClients::of(RunCost { first_row: row, further_row: row / 4 }).unwrap();
        assert!(even.saved(row) < row / 4);
        assert_eq!(cheap.saved(row / 2), row / 4 * 3);
    }
}
