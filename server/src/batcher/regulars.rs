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

use super::company::Company;

/// A leader waits at most for such a part of a row's time.
const PART_OF_ROW: u32 = 16;

/// Who was there when the last batch ended.
#[derive(Debug)]
pub(super) struct Regulars {
    requests: AtomicUsize,
    /// What waiting for them has brought.
    pub(super) company: Company,
}

impl Regulars {
    pub(super) const fn new() -> Self {
        Self { requests: AtomicUsize::new(0), company: Company::new() }
    }

    /// A batch has ended with so many requests in it and behind it.
    pub(super) fn remember(&self, requests: usize) {
        self.requests.store(requests, Ordering::Relaxed);
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long a leader waits for them at most, where a row takes so long.
    pub(super) fn patience(row: Duration) -> Duration {
        row / PART_OF_ROW
    }
}
