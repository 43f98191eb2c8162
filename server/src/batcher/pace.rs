//! How long a row takes, kept up to date: long batches must not run on the runtime's threads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A batch that takes longer than this would keep probes and other connections waiting.
const LONGEST_INLINE: Duration = Duration::from_millis(4);

/// Moving average of the time that one row of a batch takes.
#[derive(Debug)]
pub(super) struct Pace {
    row_nanoseconds: AtomicU64,
}

impl Pace {
    pub(super) fn new(row_duration: Duration) -> Self {
        Self { row_nanoseconds: AtomicU64::new(nanoseconds(row_duration)) }
    }

    /// How long a batch of `rows` is expected to take.
    pub(super) fn expected(&self, rows: usize) -> Duration {
        let row = self.row_nanoseconds.load(Ordering::Relaxed);
        Duration::from_nanos(row.saturating_mul(rows as u64))
    }

    /// Whether that is so short that it may run on a worker's thread.
    pub(super) fn is_short(&self, rows: usize) -> bool {
        self.expected(rows) <= LONGEST_INLINE
    }

    /// Learns from a batch. A lost update between two threads does no harm.
    pub(super) fn learn(&self, rows: usize, took: Duration) {
        let latest = nanoseconds(took) / rows.max(1) as u64;
        let known = self.row_nanoseconds.load(Ordering::Relaxed);
        self.row_nanoseconds.store(known - known / 8 + latest / 8, Ordering::Relaxed);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}
