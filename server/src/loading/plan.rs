//! What a model gets: sessions, their threads, lanes, rows of a batch, and waits. A pure function of what is known about
//! the model.
//!
//! Everything that a measured time decides follows from the class of that time. There are few classes, so that few
//! times lie near a boundary, where a second start may choose otherwise. A time must be past a threshold by
//! [`MARGIN_PERCENT`] to count as past it. Otherwise the choice stays on the side that costs less if it is wrong: fewer
//! threads a session, smaller batches, no wait.

use std::{collections::BTreeSet, iter, time::Duration};

use crate::{
    config::BatchingMode,
    executor::RunCost,
    model::{InstanceGroup, ModelConfig},
};

/// How far a time must be past a threshold, in percent of the threshold.
const MARGIN_PERCENT: u32 = 25;

/// Time below which a row is short. A run then costs more than its rows, so more rows should share it.
const SHORT_ROW: Duration = Duration::from_micros(40);

/// Time from which a single instance waits for returning clients. With shorter rows, the wait costs more than joining
/// saves.
const RETURNING_CLIENTS_ROW: Duration = Duration::from_micros(250);

/// Time from which several threads finish a row so much sooner that a client which is alone should have them.
const MEDIUM_ROW: Duration = Duration::from_micros(400);

/// Time from which all workers share one lane. Passing a request to another core costs microseconds, which does not
/// matter beside such a row.
const LONG_ROW: Duration = Duration::from_millis(1);

/// Time from which each session gets [`FEW_THREADS`]. Shared among threads, shorter rows take more CPU time in all.
const FEW_THREADS_ROW: Duration = Duration::from_millis(4);

/// Time from which each session gets [`MANY_THREADS`].
const MANY_THREADS_ROW: Duration = Duration::from_millis(16);

/// Threads from [`FEW_THREADS_ROW`] on: one for each millisecond of it.
const FEW_THREADS: usize = 4;

/// Threads from [`MANY_THREADS_ROW`] on: one for each millisecond of it.
const MANY_THREADS: usize = 16;

/// A further row is cheap if it adds at most this part of a run of one row, less the margin. Requests are then better off
/// in one run than in several side by side, as in dense layers with many weights.
const CHEAP_PART: u32 = 5;

/// Most rows of a batch where the model's configuration says nothing. More rows take as long each, or longer where the
/// intermediate results leave the cache, and every request of the batch waits for all of them.
const JOINED_ROWS: usize = 16;

/// The same for short rows: more of them share the cost of a run.
const SHORT_JOINED_ROWS: usize = 32;

/// The same where further rows are cheap: a run spends most of its time on reading the weights, once for all rows.
const CHEAP_JOINED_ROWS: usize = 64;

/// The same on a GPU, which many rows at once keep busy.
const GPU_JOINED_ROWS: usize = 64;

/// Batches that run at once on a GPU: while it computes one, the next is brought to it.
const GPU_INSTANCES: usize = 2;

/// Whether a run is so long that the cost of further rows matters for the plan.
pub(super) fn is_worth_sharing(first_row: Duration) -> bool {
    first_row >= MEDIUM_ROW
}

/// Threads of a model's first session, which is loaded before its rows are timed.
pub(super) fn first_session_threads(threads: usize, is_large: bool, group: &InstanceGroup) -> usize {
    group.intra_op_threads.unwrap_or(if is_large { threads } else { 1 })
}

/// What is known about a model and its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// Threads of the server.
    pub(super) threads: usize,
    /// Whether the adaptive policies act, as far as the server's settings say.
    pub(super) mode: BatchingMode,
    /// Rows that may wait for the model.
    pub(super) max_queue_rows: usize,
    pub(super) config: &'a ModelConfig,
    /// Times of runs on the first session; zero where they are not known.
    pub(super) cost: RunCost,
    /// Whether every row has the same size.
    pub(super) rows_are_alike: bool,
    /// Whether rows of different requests may be joined.
    pub(super) joins_rows: bool,
    /// Whether the model's file is so large that there is one session of it.
    pub(super) is_large: bool,
    pub(super) processor: Processor,
}

/// What runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processor {
    Cpu,
    Gpu,
}

impl Facts<'_> {
    /// Returns whether a GPU runs the model.
    pub(super) fn on_gpu(&self) -> bool {
        self.processor == Processor::Gpu
    }

    /// Returns whether the adaptive policies act. Either side can switch them off.
    pub(super) fn mode(&self) -> BatchingMode {
        match self.config.dynamic_batching.mode {
            Some(BatchingMode::Static) => BatchingMode::Static,
            Some(BatchingMode::Adaptive) | None => self.mode,
        }
    }

    /// Returns whether the time of a row decides how many sessions there are, and how many threads each has.
    pub(super) fn are_sessions_timed(&self) -> bool {
        let InstanceGroup { count, intra_op_threads, .. } = &self.config.instance_group;
        let is_fixed = self.is_large || self.on_gpu() || count.is_some() || intra_op_threads.is_some();
        !is_fixed && self.mode() == BatchingMode::Adaptive
    }
}

/// Classes of the time of a row, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RowClass {
    Short,
    /// Also where the time is not known.
    Quick,
    Medium,
    Long,
    FewThreads,
    ManyThreads,
}

/// Whether a time is past a threshold by the margin.
fn is_surely_past(time: Duration, threshold: Duration) -> bool {
    time * 100 >= threshold * (100 + MARGIN_PERCENT)
}

impl RowClass {
    fn of(row: Duration) -> Self {
        let is_short = !row.is_zero() && row * (100 + MARGIN_PERCENT) < SHORT_ROW * 100;
        [
            (MANY_THREADS_ROW, Self::ManyThreads),
            (FEW_THREADS_ROW, Self::FewThreads),
            (LONG_ROW, Self::Long),
            (MEDIUM_ROW, Self::Medium),
        ]
        .into_iter()
        .find_map(|(threshold, class)| is_surely_past(row, threshold).then_some(class))
        .unwrap_or(if is_short { Self::Short } else { Self::Quick })
    }

    /// Threads that each session of the model should have.
    fn session_threads(self, rows_are_cheap: bool) -> usize {
        match (self, rows_are_cheap) {
            (Self::Short | Self::Quick, _) | (Self::Medium | Self::Long, false) => 1,
            (Self::Medium, true) | (Self::FewThreads, false) => FEW_THREADS,
            (Self::Long | Self::FewThreads, true) | (Self::ManyThreads, _) => MANY_THREADS,
        }
    }

    /// Threads that a client which is alone has use for. The other threads would have nothing to do, so only the time
    /// until the answer counts.
    fn idle_session_threads(self) -> usize {
        match self {
            Self::Short | Self::Quick => 1,
            Self::Medium => FEW_THREADS,
            Self::Long => MANY_THREADS,
            Self::FewThreads | Self::ManyThreads => usize::MAX,
        }
    }
}

/// Whether further rows are cheap.
fn are_cheap_together(cost: RunCost) -> bool {
    RowClass::of(cost.first_row) >= RowClass::Medium
        && is_surely_past(cost.first_row, cost.further_row * CHEAP_PART)
}

/// What a model gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether the adaptive policies act.
    pub(super) mode: BatchingMode,
    /// Sessions that run batches side by side.
    pub(super) count: usize,
    /// Threads of each of them.
    pub(super) intra_op_threads: usize,
    /// Threads of one session more, for a client that is alone; 0: there is none.
    pub(super) idle_session_threads: usize,
    /// Queues that the sessions are shared out among.
    pub(super) lanes: usize,
    /// Most rows of a batch of several requests.
    pub(super) joined_rows: usize,
    /// Whether a batch waits for the clients of the batch before it.
    pub(super) returning_clients: bool,
}

impl Plan {
    /// Chooses by what the model's configuration pins, and by the facts otherwise.
    pub(super) fn choose(facts: &Facts<'_>) -> Self {
        let (group, batching) = (&facts.config.instance_group, &facts.config.dynamic_batching);
        let (threads, mode) = (facts.threads, facts.mode());
        let is_adaptive = mode == BatchingMode::Adaptive;
        let (count, intra_op_threads, idle_session_threads) = sessions(facts);
        let idle_session_threads = group.idle_session_threads.unwrap_or(idle_session_threads);
        let row = facts.cost.first_row;
        let has_own_lanes = !facts.on_gpu() && RowClass::of(row) < RowClass::Long;
        let lanes = group.lanes.unwrap_or(if has_own_lanes { threads } else { 1 });
        let has_all_cores = count == 1 && threads > 1;
        let returning_clients = batching
            .returning_clients
            .unwrap_or_else(|| has_all_cores && is_surely_past(row, RETURNING_CLIENTS_ROW));
        let pinned_rows = batching.joined_rows.or(facts.config.max_batch_size);
        let joined_rows = pinned_rows.unwrap_or_else(|| joined_rows(facts).min(facts.max_queue_rows));
        Self {
            mode,
            count,
            intra_op_threads,
            idle_session_threads: if is_adaptive && !facts.on_gpu() { idle_session_threads } else { 0 },
            lanes: if is_adaptive { lanes.min(threads).min(count).max(1) } else { 1 },
            joined_rows: if facts.joins_rows { joined_rows } else { 1 },
            returning_clients: is_adaptive && returning_clients,
        }
    }

    /// Returns a plan that another measurement of the same model might have led to: one whose times differ by up to
    /// [`MARGIN_PERCENT`].
    pub(super) fn nearby(facts: &Facts<'_>) -> Option<Self> {
        let chosen = Self::choose(facts);
        let RunCost { first_row, further_row } = facts.cost;
        let up = |time: Duration| time * (100 + MARGIN_PERCENT) / 100;
        let down = |time: Duration| time * 100 / (100 + MARGIN_PERCENT);
        [
            (down(first_row), down(further_row)),
            (up(first_row), up(further_row)),
            (first_row, down(further_row)),
            (first_row, up(further_row)),
        ]
        .into_iter()
        .map(|(first_row, further_row)| {
            Self::choose(&Facts { cost: RunCost { first_row, further_row }, ..*facts })
        })
        .find(|other| *other != chosen)
    }
}

/// Returns how many sessions there are, how many threads each has, and how many threads the idle session has.
fn sessions(facts: &Facts<'_>) -> (usize, usize, usize) {
    let (threads, group) = (facts.threads, &facts.config.instance_group);
    if facts.on_gpu() {
        // The threads of a session have next to nothing to do.
        let count = group.count.unwrap_or(if facts.is_large { 1 } else { GPU_INSTANCES });
        return (count, group.intra_op_threads.unwrap_or(1), 0);
    }
    if !facts.are_sessions_timed() {
        let intra_op_threads = first_session_threads(threads, facts.is_large, group);
        let count = group.count.unwrap_or_else(|| (threads / intra_op_threads).max(1));
        return (count, intra_op_threads, 0);
    }
    let class = RowClass::of(facts.cost.first_row);
    let intra_op_threads = class.session_threads(are_cheap_together(facts.cost));
    if 2 * intra_op_threads > threads {
        return (1, threads, 0);
    }
    let idle_session_threads = class.idle_session_threads().min(threads);
    let has_idle_session = idle_session_threads > intra_op_threads;
    (threads / intra_op_threads, intra_op_threads, if has_idle_session { idle_session_threads } else { 0 })
}

/// Returns the most rows of a batch where the model's configuration says nothing.
fn joined_rows(facts: &Facts<'_>) -> usize {
    if facts.on_gpu() {
        GPU_JOINED_ROWS
    } else if facts.mode() == BatchingMode::Static {
        JOINED_ROWS
    } else if are_cheap_together(facts.cost) {
        CHEAP_JOINED_ROWS
    } else if facts.rows_are_alike && RowClass::of(facts.cost.first_row) == RowClass::Short {
        // The smallest of rows of many sizes says nothing about the others.
        SHORT_JOINED_ROWS
    } else {
        JOINED_ROWS
    }
}

/// Returns the numbers of rows that get a session of their own: powers of two below `full`, or the sizes that the
/// configuration prefers; always 1 and `full`.
pub(super) fn session_rows(full: usize, preferred: &[usize]) -> Vec<usize> {
    let powers =
        iter::successors(Some(1), |size: &usize| size.checked_mul(2)).take_while(|&size| size < full);
    let mut sizes: BTreeSet<_> =
        if preferred.is_empty() { powers.collect() } else { preferred.iter().copied().collect() };
    sizes.extend([1, full]);
    sizes.into_iter().collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
