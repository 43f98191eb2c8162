//! How long runs take, kept up to date: what is not known to be short must not run on the threads that serve.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A batch that takes longer than this would keep probes and other connections waiting.
const LONGEST_INLINE: Duration = Duration::from_millis(4);

/// How much longer one run may take than another of the same [`Size`]: their sizes differ by a factor of up to the square
/// root of two, and the time may grow with the square of the size.
const GROWTH: u32 = 2;

/// Sizes that are remembered. One that is forgotten is learned anew.
const SIZES: usize = 256;

/// What the time of a run depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeDependsOn {
    /// How many rows it has: every row has the same size.
    Rows,
    /// The sizes of its inputs, which requests choose.
    Sizes,
    /// The values too: a loop runs as often as one of them says.
    Values,
}

/// How large the inputs of a batch are, in so coarse steps that batches of one size take about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(u64);

impl Size {
    /// Takes the bytes of each input and each of its dimensions, in order: none of them alone says how long a run takes.
    pub(super) fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        // FNV-1a's offset, and a multiplier of Knuth's.
        let mix =
            |hash: u64, size| (hash ^ half_octave(size)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        Self(sizes.into_iter().fold(0xCBF2_9CE4_8422_2325, mix))
    }

    fn slot(self) -> usize {
        (self.0 >> 56) as usize % SIZES
    }

    /// The upper half of an entry.
    fn mark(self) -> u64 {
        self.0 << 32
    }
}

/// The logarithm to the base of the square root of two, rounded down; 0 for nothing.
fn half_octave(size: usize) -> u64 {
    let Some(octave) = size.checked_ilog2() else { return 0 };
    let square = (size as u128).pow(2);
    1 + u64::from(2 * octave) + u64::from(square >= 1 << (2 * octave + 1))
}

/// The times of runs by their size. The upper half of an entry is the mark of its size, the lower half are nanoseconds,
/// at most as many as fit.
#[derive(Debug)]
struct Sizes([AtomicU64; SIZES]);

impl Sizes {
    fn time(&self, size: Size) -> Option<u64> {
        let entry = self.0[size.slot()].load(Ordering::Relaxed);
        let nanoseconds = entry & u64::from(u32::MAX);
        (nanoseconds > 0 && entry - nanoseconds == size.mark()).then_some(nanoseconds)
    }

    fn learn(&self, size: Size, latest: u64) {
        let nanoseconds = self.time(size).map_or(latest, |known| averaged(known, latest));
        let entry = size.mark() | nanoseconds.clamp(1, u64::from(u32::MAX));
        self.0[size.slot()].store(entry, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Known {
    Rows,
    Sizes(Box<Sizes>),
    Nothing,
}

/// Moving averages of the time that runs take. A lost update between two threads does no harm.
#[derive(Debug)]
pub(super) struct RunEstimate {
    /// Of one row; 0 as long as that is not known.
    row_nanoseconds: AtomicU64,
    known: Known,
}

impl RunEstimate {
    /// For a model of which a row took so long at warm-up; zero: warm-up ran none.
    pub(super) fn new(row_duration: Duration, depends_on: TimeDependsOn) -> Self {
        let known = match depends_on {
            TimeDependsOn::Rows => Known::Rows,
            TimeDependsOn::Sizes => Known::Sizes(Box::new(Sizes(array::from_fn(|_| AtomicU64::new(0))))),
            TimeDependsOn::Values => Known::Nothing,
        };
        Self { row_nanoseconds: AtomicU64::new(nanoseconds(row_duration)), known }
    }

    /// How long a batch of `rows` is expected to take, whatever else it depends on.
    pub(super) fn expected(&self, rows: usize) -> Duration {
        let row = self.row_nanoseconds.load(Ordering::Relaxed);
        Duration::from_nanos(row.saturating_mul(rows as u64))
    }

    /// Whether a batch is known to be so short that it may run on a worker's thread.
    pub(super) fn is_short(&self, rows: usize, size: impl FnOnce() -> Size) -> bool {
        match &self.known {
            Known::Rows => {
                let expected = self.expected(rows);
                !expected.is_zero() && expected <= LONGEST_INLINE
            }
            Known::Sizes(sizes) => {
                sizes.time(size()).is_some_and(|time| Duration::from_nanos(time) * GROWTH <= LONGEST_INLINE)
            }
            Known::Nothing => false,
        }
    }

    /// Learns from a batch that took so long.
    pub(super) fn learn(&self, rows: usize, size: impl FnOnce() -> Size, took: Duration) {
        let row = nanoseconds(took) / rows.max(1) as u64;
        let known = self.row_nanoseconds.load(Ordering::Relaxed);
        let row = if known == 0 { row } else { averaged(known, row) };
        self.row_nanoseconds.store(row, Ordering::Relaxed);
        if let Known::Sizes(sizes) = &self.known {
            sizes.learn(size(), nanoseconds(took));
        }
    }
}

fn averaged(known: u64, latest: u64) -> u64 {
    known - known / 8 + latest / 8
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn one(size: usize) -> Size {
        Size::of([size, size])
    }

    #[test]
    fn rows_that_are_alike_need_nothing_but_a_row_s_time() {
        let run_estimate = RunEstimate::new(MILLISECOND, TimeDependsOn::Rows);
        let is_short = |rows| run_estimate.is_short(rows, || unreachable!());
        assert!(is_short(1) && is_short(4) && !is_short(5));
        let unknown = RunEstimate::new(Duration::ZERO, TimeDependsOn::Rows);
        assert!(!unknown.is_short(1, || one(1)), "nothing ran at warm-up");
        unknown.learn(2, || one(1), MILLISECOND);
        assert!(unknown.is_short(8, || one(1)) && !unknown.is_short(9, || one(1)));
    }

    #[test]
    fn what_depends_on_values_is_never_known_to_be_short() {
        let run_estimate = RunEstimate::new(Duration::from_nanos(1), TimeDependsOn::Values);
        run_estimate.learn(1, || one(1), Duration::from_nanos(1));
        assert!(!run_estimate.is_short(1, || one(1)));
    }

    #[test]
    fn a_size_that_became_long_is_not_short_any_more() {
        let run_estimate = RunEstimate::new(Duration::ZERO, TimeDependsOn::Sizes);
        run_estimate.learn(1, || one(8), MILLISECOND);
        assert!(run_estimate.is_short(1, || one(8)));
        run_estimate.learn(1, || one(8), Duration::from_secs(30));
        assert!(!run_estimate.is_short(1, || one(8)));
    }

    proptest! {
        /// Whatever was seen of a model whose time grows with the square of its size, what goes for short is no longer
        /// than the limit.
        #[test]
        fn what_is_known_to_be_short_is_short(
            seen in prop::collection::vec((1..100_000_usize, 1..100_usize), 0..400),
            asked in prop::collection::vec((1..100_000_usize, 1..100_usize), 0..400),
        ) {
            let run_estimate = RunEstimate::new(Duration::from_nanos(10), TimeDependsOn::Sizes);
            let time = |width: usize, rows: usize| Duration::from_nanos((rows * width * width) as u64);
            let size = |width: usize, rows: usize| Size::of([4 * rows * width, width]);
            for (width, rows) in seen {
                run_estimate.learn(rows, || size(width, rows), time(width, rows));
            }
            for (width, rows) in asked {
                if run_estimate.is_short(rows, || size(width, rows)) {
                    // Width and rows may both be at the other end of their step.
                    prop_assert!(time(width, rows) <= LONGEST_INLINE * GROWTH);
                }
            }
        }

        #[test]
        fn a_size_twice_as_large_is_another(size in 1..1_000_000_usize, more in 1..100_usize) {
            let run_estimate = RunEstimate::new(Duration::from_nanos(1), TimeDependsOn::Sizes);
            prop_assert!(!run_estimate.is_short(1, || one(size)));
            run_estimate.learn(1, || one(size), MILLISECOND);
            prop_assert!(run_estimate.is_short(1, || one(size)));
            prop_assert!(!run_estimate.is_short(1, || one(size * 2 + more)));
        }

        #[test]
        fn half_octaves_grow_by_the_square_root_of_two(size in 1..usize::MAX / 2) {
            prop_assert_eq!(half_octave(2 * size), half_octave(size) + 2);
            prop_assert!(half_octave(size + 1) - half_octave(size) <= 1);
        }
    }
}
