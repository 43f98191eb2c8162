//! How long runs take, learned from each run. A batch runs on a worker's thread only if it is known to be short.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::tuning::{MAX_INLINE_RUN, RUN_TIME_AVERAGE_LENGTH, SIZE_CLASS_SPREAD, SIZE_CLASSES};

/// What the time of a run depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeDependsOn {
    /// The number of its rows: every row has the same size.
    Rows,
    /// The sizes of its inputs, which requests choose.
    Sizes,
    /// The values of its inputs too, as in a loop whose count is an input.
    Values,
}

/// The size class of a batch: a hash of the sizes of its inputs, each rounded so coarsely that batches of one class
/// take about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeClass(u64);

impl SizeClass {
    /// Hashes the bytes of each input and each of its dimensions, in order. None of them alone tells how long a run
    /// takes.
    pub(super) fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        // The offset of the FNV-1a hash, and the multiplier of Fibonacci hashing (Knuth).
        let mix =
            |hash: u64, size| (hash ^ half_octave(size)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        Self(sizes.into_iter().fold(0xCBF2_9CE4_8422_2325, mix))
    }

    /// Returns the index of its entry in the table: the highest 8 bits of the hash, hence at most 256 entries.
    fn slot(self) -> usize {
        (self.0 >> 56) as usize % SIZE_CLASSES
    }

    /// Returns the low half of the hash in the upper half of a table entry. It tells the class from others with the
    /// same slot.
    fn mark(self) -> u64 {
        self.0 << 32
    }
}

/// Returns the logarithm to the base of the square root of two, rounded down, plus 1; 0 for 0.
fn half_octave(size: usize) -> u64 {
    let Some(octave) = size.checked_ilog2() else { return 0 };
    let square = (size as u128).pow(2);
    1 + u64::from(2 * octave) + u64::from(square >= 1 << (2 * octave + 1))
}

/// Run times by size class. The upper half of an entry is the mark of its class. The lower half is the run time in
/// nanoseconds, limited to what 32 bits hold (4 s).
#[derive(Debug)]
struct SizeTable([AtomicU64; SIZE_CLASSES]);

impl SizeTable {
    /// Returns the run time of a class in nanoseconds, if it is known.
    fn time(&self, class: SizeClass) -> Option<u64> {
        let entry = self.0[class.slot()].load(Ordering::Relaxed);
        let nanoseconds = entry & u64::from(u32::MAX);
        (nanoseconds > 0 && entry - nanoseconds == class.mark()).then_some(nanoseconds)
    }

    /// Records the time of a run, in nanoseconds.
    fn record(&self, class: SizeClass, latest: u64) {
        let nanoseconds = self.time(class).map_or(latest, |known| average(known, latest));
        let entry = class.mark() | nanoseconds.clamp(1, u64::from(u32::MAX));
        self.0[class.slot()].store(entry, Ordering::Relaxed);
    }
}

/// What tells whether a batch is short.
#[derive(Debug)]
enum Evidence {
    /// The time of a row, times the rows.
    RowTime,
    /// An earlier run of the same size class.
    SizeClass(Box<SizeTable>),
    /// Nothing: the values decide, or the estimate is switched off.
    None,
}

/// Moving averages of run times. Two threads may overwrite each other's update, which does no harm to an average.
#[derive(Debug)]
pub(super) struct RunEstimate {
    /// Time of one row, in nanoseconds; 0: not known yet.
    row_nanoseconds: AtomicU64,
    evidence: Evidence,
}

impl RunEstimate {
    /// Starts with the time of a row at warm-up, and never calls a batch short.
    pub(super) fn without_evidence(row: Duration) -> Self {
        Self { row_nanoseconds: AtomicU64::new(nanoseconds(row)), evidence: Evidence::None }
    }

    /// Starts with the time of a row at warm-up; zero: warm-up ran none.
    pub(super) fn new(row: Duration, depends_on: TimeDependsOn) -> Self {
        let evidence = match depends_on {
            TimeDependsOn::Rows => Evidence::RowTime,
            TimeDependsOn::Sizes => {
                Evidence::SizeClass(Box::new(SizeTable(array::from_fn(|_| AtomicU64::new(0)))))
            }
            TimeDependsOn::Values => Evidence::None,
        };
        Self { row_nanoseconds: AtomicU64::new(nanoseconds(row)), evidence }
    }

    /// Returns the expected time of a run of `rows`, from the average time of a row alone.
    pub(super) fn expected(&self, rows: usize) -> Duration {
        let row = self.row_nanoseconds.load(Ordering::Relaxed);
        Duration::from_nanos(row.saturating_mul(rows as u64))
    }

    /// Returns whether a batch is known to be short enough for a worker's thread. `class` is computed only if it
    /// matters.
    pub(super) fn is_short(&self, rows: usize, class: impl FnOnce() -> SizeClass) -> bool {
        match &self.evidence {
            Evidence::RowTime => {
                let expected = self.expected(rows);
                !expected.is_zero() && expected <= MAX_INLINE_RUN
            }
            Evidence::SizeClass(table) => table
                .time(class())
                .is_some_and(|time| Duration::from_nanos(time) * SIZE_CLASS_SPREAD <= MAX_INLINE_RUN),
            Evidence::None => false,
        }
    }

    /// Records the time that a batch took.
    pub(super) fn record(&self, rows: usize, class: impl FnOnce() -> SizeClass, took: Duration) {
        let row = nanoseconds(took) / rows.max(1) as u64;
        let known = self.row_nanoseconds.load(Ordering::Relaxed);
        let row = if known == 0 { row } else { average(known, row) };
        self.row_nanoseconds.store(row, Ordering::Relaxed);
        if let Evidence::SizeClass(table) = &self.evidence {
            table.record(class(), nanoseconds(took));
        }
    }
}

fn average(known: u64, latest: u64) -> u64 {
    known - known / RUN_TIME_AVERAGE_LENGTH + latest / RUN_TIME_AVERAGE_LENGTH
}

/// Converts to nanoseconds, at most half of what 64 bits hold, so that averaging cannot overflow.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn one(size: usize) -> SizeClass {
        SizeClass::of([size, size])
    }

    #[test]
    fn the_time_of_a_row_is_enough_where_rows_are_alike() {
        let estimate = RunEstimate::new(MILLISECOND, TimeDependsOn::Rows);
        let is_short = |rows| estimate.is_short(rows, || unreachable!());
        assert!(is_short(1) && is_short(4) && !is_short(5));
        let unknown = RunEstimate::new(Duration::ZERO, TimeDependsOn::Rows);
        assert!(!unknown.is_short(1, || one(1)), "nothing ran at warm-up");
        unknown.record(2, || one(1), MILLISECOND);
        assert!(unknown.is_short(8, || one(1)) && !unknown.is_short(9, || one(1)));
    }

    #[test]
    fn what_depends_on_values_is_never_known_to_be_short() {
        let estimate = RunEstimate::new(Duration::from_nanos(1), TimeDependsOn::Values);
        estimate.record(1, || one(1), Duration::from_nanos(1));
        assert!(!estimate.is_short(1, || one(1)));
    }

    #[test]
    fn a_size_class_that_became_long_is_not_short_any_more() {
        let estimate = RunEstimate::new(Duration::ZERO, TimeDependsOn::Sizes);
        estimate.record(1, || one(8), MILLISECOND);
        assert!(estimate.is_short(1, || one(8)));
        estimate.record(1, || one(8), Duration::from_secs(30));
        assert!(!estimate.is_short(1, || one(8)));
    }

    proptest! {
        /// The run time of this model grows with the square of the size. Whatever runs were seen, a batch that counts
        /// as short stays below the limit.
        #[test]
        fn a_batch_that_counts_as_short_is_short(
            seen in prop::collection::vec((1..100_000_usize, 1..100_usize), 0..400),
            asked in prop::collection::vec((1..100_000_usize, 1..100_usize), 0..400),
        ) {
            let estimate = RunEstimate::new(Duration::from_nanos(10), TimeDependsOn::Sizes);
            let time = |width: usize, rows: usize| Duration::from_nanos((rows * width * width) as u64);
            let size = |width: usize, rows: usize| SizeClass::of([4 * rows * width, width]);
            for (width, rows) in seen {
                estimate.record(rows, || size(width, rows), time(width, rows));
            }
            for (width, rows) in asked {
                if estimate.is_short(rows, || size(width, rows)) {
                    // Width and rows may both be at the far end of their rounding step.
                    prop_assert!(time(width, rows) <= MAX_INLINE_RUN * SIZE_CLASS_SPREAD);
                }
            }
        }

        #[test]
        fn a_size_twice_as_large_has_another_class(size in 1..1_000_000_usize, more in 1..100_usize) {
            let estimate = RunEstimate::new(Duration::from_nanos(1), TimeDependsOn::Sizes);
            prop_assert!(!estimate.is_short(1, || one(size)));
            estimate.record(1, || one(size), MILLISECOND);
            prop_assert!(estimate.is_short(1, || one(size)));
            prop_assert!(!estimate.is_short(1, || one(size * 2 + more)));
        }

        #[test]
        fn half_octaves_grow_by_the_square_root_of_two(size in 1..usize::MAX / 2) {
            prop_assert_eq!(half_octave(2 * size), half_octave(size) + 2);
            prop_assert!(half_octave(size + 1) - half_octave(size) <= 1);
        }
    }
}
