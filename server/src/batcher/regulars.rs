//! Clients that come again. Whoever has been answered is likely to ask the next thing at once, a moment too late for
//! the batch that follows: two clients would take turns, a batch of one each.
//!
//! Where a single instance runs on all cores, that costs twice. Its threads wait for each other several times in a run,
//! and for all the longer as requests come and answers go on the same cores meanwhile; and a run of two rows takes less
//! than two runs. So its leader waits a little for those who were there when the last batch ended, if they do come.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::company::Company;

/// A leader waits at most for such a part of a row's time.
const PART_OF_ROW: u32 = 16;

/// How many they are.
#[derive(Debug)]
pub(super) struct Regulars {
    requests: AtomicUsize,
    company: Company,
}

impl Regulars {
    pub(super) const fn new() -> Self {
        Self { requests: AtomicUsize::new(0), company: Company::new() }
    }

    /// A batch has ended with so many requests in it and behind it.
    pub(super) fn remember(&self, requests: usize) {
        self.requests.store(requests, Ordering::Relaxed);
    }

    /// Lets others proceed, by `step`, until as many requests are `there` as there were or the batch `is_full`, for a
    /// part of the time that a `row` takes at most.
    pub(super) async fn wait<F: Future>(
        &self,
        there: impl Fn() -> usize,
        is_full: impl Fn() -> bool,
        row: Duration,
        step: impl Fn() -> F,
    ) {
        let (known, before) = (self.requests.load(Ordering::Relaxed), there());
        let all_there = || there() >= known || is_full();
        if all_there() || !self.company.is_worth_a_look() {
            return;
        }
        let (started, most) = (Instant::now(), row / PART_OF_ROW);
        while !all_there() && started.elapsed() < most {
            step().await;
        }
        self.company.looked(there().saturating_sub(before), row, most);
    }
}
