//! What a model gets by how long its runs take: sessions, their threads, rows of a batch.

use std::{collections::BTreeSet, iter, time::Duration};

use crate::{executor::RunCost, model::InstanceGroup};

/// Time of a row that is worth another thread; shared among threads, shorter rows take longer in all.
const WORTH_A_THREAD: Duration = Duration::from_millis(2);

/// The same where the other threads would have nothing better to do: what the row takes in all does not count, when it
/// ends does.
const WORTH_AN_IDLE_THREAD: Duration = Duration::from_micros(200);

/// Runs shorter than this are the business of one thread.
const WORTH_SHARING: Duration = Duration::from_micros(400);

/// Rows are cheap together where each further one adds at most such a part of a run with one.
const CHEAP_PART: u32 = 6;

/// Rows that a batch grows to where the model's configuration says nothing. More take as long a row, or
/// longer where what is computed leaves the cache, and everyone in the batch waits for all of it.
const JOINED_ROWS: usize = 16;

/// The same where rows are so short that a run costs more than they do: what it costs is shared by more of them.
const SHORT_JOINED_ROWS: usize = 32;

/// Rows that are so short.
const SHORT_ROW: Duration = Duration::from_micros(40);

/// The same where rows are cheap together: most of a run is reading the weights, once for all of them.
const CHEAP_JOINED_ROWS: usize = 64;

/// The same on a GPU, which many at once keep busy.
pub(super) const GPU_JOINED_ROWS: usize = 64;

/// Batches that run at once on a GPU: while it computes one, the next is brought to it.
const GPU_INSTANCES: usize = 2;

/// Whether a run is so long that sharing it among threads may pay.
pub(super) fn is_worth_sharing(time: RunCost) -> bool {
    time.first_row >= WORTH_SHARING
}

/// Whether rows are so cheap together that requests are better off in one run than in several side by side, as in
/// dense layers with many weights.
fn are_cheap_together(time: RunCost) -> bool {
    is_worth_sharing(time) && time.further_row * CHEAP_PART <= time.first_row
}

/// Whether rows take next to nothing, as far as that is known: the smallest of rows of many sizes says nothing of the
/// others, and no time is one that was not measured.
fn are_short(time: RunCost, rows_are_alike: bool) -> bool {
    rows_are_alike && !time.first_row.is_zero() && time.first_row < SHORT_ROW
}

/// Rows that a batch grows to on the CPU where the model's configuration says nothing.
pub(super) fn joined_rows(time: RunCost, rows_are_alike: bool) -> usize {
    if are_cheap_together(time) {
        CHEAP_JOINED_ROWS
    } else if are_short(time, rows_are_alike) {
        SHORT_JOINED_ROWS
    } else {
        JOINED_ROWS
    }
}

/// How many sessions a model gets, and how many threads each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Sessions that run batches side by side.
    pub(super) count: usize,
    /// Threads of each of them.
    pub(super) intra_op_threads: usize,
    /// Threads of one session more, for requests that are alone; 0: there is none.
    pub(super) idle_session_threads: usize,
}

impl Plan {
    /// On a GPU, which leaves hardly anything to the threads of a session. A large model is there but once.
    pub(super) fn on_gpu(is_large: bool, group: &InstanceGroup) -> Self {
        let count = group.count.unwrap_or(if is_large { 1 } else { GPU_INSTANCES });
        Self { count, intra_op_threads: group.intra_op_threads.unwrap_or(1), idle_session_threads: 0 }
    }

    /// For a model whose runs take so long on one of `threads`.
    pub(super) fn for_run(threads: usize, time: RunCost) -> Self {
        let worth = |thread: Duration| (time.first_row.as_nanos() / thread.as_nanos()) as usize;
        let each = worth(if are_cheap_together(time) { WORTH_AN_IDLE_THREAD } else { WORTH_A_THREAD });
        if 2 * each > threads {
            return Self { count: 1, intra_op_threads: threads, idle_session_threads: 0 };
        }
        let intra_op_threads = each.max(1);
        let idle_session = worth(WORTH_AN_IDLE_THREAD).min(threads);
        let idle_session_threads = if idle_session > intra_op_threads { idle_session } else { 0 };
        Self { count: threads / intra_op_threads, intra_op_threads, idle_session_threads }
    }
}

/// The sizes of batches where a session runs only one: powers of two up to `full` rows, or the sizes that the
/// configuration prefers.
pub(super) fn sizes(full: usize, preferred: &[usize]) -> Vec<usize> {
    let powers =
        iter::successors(Some(1), |size: &usize| size.checked_mul(2)).take_while(|&size| size < full);
    let mut sizes: BTreeSet<_> =
        if preferred.is_empty() { powers.collect() } else { preferred.iter().copied().collect() };
    sizes.extend([1, full]);
    sizes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(threads: usize, time: RunCost) -> (usize, usize, usize) {
        let Plan { count, intra_op_threads, idle_session_threads } = Plan::for_run(threads, time);
        (count, intra_op_threads, idle_session_threads)
    }

    /// Of a convolution: each row is computed anew.
    fn even(microseconds: u64) -> RunCost {
        RunCost::of_rows(Duration::from_micros(microseconds))
    }

    /// Of a dense layer: the weights are read once for all rows.
    fn cheap(microseconds: u64) -> RunCost {
        let first_row = Duration::from_micros(microseconds);
        RunCost { first_row, further_row: first_row / 12 }
    }

    #[test]
    fn long_rows_get_more_threads_and_few_are_left_over() {
        assert_eq!(plan(2, even(0)), (2, 1, 0));
        assert_eq!(plan(2, even(8_000)), (1, 2, 0));
        assert_eq!(plan(16, even(8_000)), (4, 4, 16));
        assert_eq!(plan(1, even(1_000_000)), (1, 1, 0));
        for threads in 1..=64 {
            for microseconds in (0..200_000).step_by(500) {
                for time in [even(microseconds), cheap(microseconds)] {
                    let (count, each, idle_session) = plan(threads, time);
                    assert!(count * each <= threads && threads < (count + 1) * each, "{threads}, {time:?}");
                    assert!(
                        idle_session == 0 || (each < idle_session && idle_session <= threads),
                        "{threads}, {time:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_request_that_is_alone_gets_idle_threads_where_a_row_is_worth_them() {
        assert_eq!([100, 399].map(|row| plan(2, even(row))), [(2, 1, 0); 2]);
        assert_eq!([400, 3_900].map(|row| plan(2, even(row))), [(2, 1, 2); 2]);
        assert_eq!(plan(16, even(1_000)), (16, 1, 5));
        assert_eq!(plan(1, even(3_900)), (1, 1, 0));
    }

    #[test]
    fn rows_that_are_cheap_together_go_in_one_run() {
        assert_eq!([400, 2_000, 80_000].map(|row| plan(2, cheap(row))), [(1, 2, 0); 3]);
        assert_eq!(plan(16, cheap(1_000)), (3, 5, 0));
        assert_eq!(plan(2, cheap(300)), (2, 1, 0));
        assert_eq!(joined_rows(cheap(400), true), 64);
        assert_eq!([even(400), even(80_000), cheap(300)].map(|time| joined_rows(time, true)), [16; 3]);
    }

    #[test]
    fn more_rows_share_a_run_where_they_take_next_to_nothing() {
        assert_eq!([1, 39, 40].map(|row| joined_rows(even(row), true)), [32, 32, 16]);
        assert_eq!(joined_rows(even(1), false), 16, "other rows may take long");
        assert_eq!(joined_rows(even(0), true), 16, "not measured");
    }

    #[test]
    fn sessions_of_one_size_reach_up_to_the_full_batch() {
        assert_eq!(sizes(32, &[]), [1, 2, 4, 8, 16, 32]);
        assert_eq!(sizes(12, &[]), [1, 2, 4, 8, 12]);
        assert_eq!(sizes(64, &[48, 16, 64]), [1, 16, 48, 64]);
        assert_eq!(sizes(1, &[]), [1]);
    }
}
