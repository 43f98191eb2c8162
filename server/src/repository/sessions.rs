//! The sessions of a model: how many, of how many threads, loaded and warm.

use std::{
    iter,
    path::Path,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use oip::{Datatype, Shape};

use super::error::LoadError;
use crate::{
    config::Device,
    executor::{BatchInput, Executor, OnnxExecutor, Runtime, SessionOptions},
    model::{Dimension, Signature, TensorSpec},
};

/// A row that takes so long is worth another thread; shared among threads, shorter ones take longer in all.
const ROW_WORTH_A_THREAD: Duration = Duration::from_millis(2);

/// The same where the other threads have nothing to do: what it takes in all does not count, when it ends does.
const ROW_WORTH_AN_IDLE_THREAD: Duration = Duration::from_micros(200);

/// Warm-up runs a full batch only where it is expected to take no longer than this.
const LONGEST_WARM_UP: Duration = Duration::from_millis(500);

/// How many sessions a model gets, and how many threads each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Sessions that run batches side by side.
    pub(super) count: usize,
    /// Threads of each of them.
    pub(super) intra_op_threads: usize,
    /// Threads of one session more, for requests that are alone; 0: there is none.
    pub(super) solo_threads: usize,
}

impl Plan {
    /// For a model whose row takes so long on one thread.
    fn for_row(threads: usize, row: Duration) -> Self {
        let worth = |thread: Duration| (row.as_nanos() / thread.as_nanos()) as usize;
        let each = worth(ROW_WORTH_A_THREAD);
        if 2 * each > threads {
            return Self { count: 1, intra_op_threads: threads, solo_threads: 0 };
        }
        let intra_op_threads = each.max(1);
        let solo = worth(ROW_WORTH_AN_IDLE_THREAD).min(threads);
        let solo_threads = if solo > intra_op_threads { solo } else { 0 };
        Self { count: threads / intra_op_threads, intra_op_threads, solo_threads }
    }

    fn is_simple(&self) -> bool {
        self.intra_op_threads == 1 && self.solo_threads == 0
    }
}

/// Where a model's sessions come from, and what warms them.
pub(super) struct Sessions<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) path: &'a Path,
    pub(super) warm_up: WarmUp<'a>,
}

/// A session, and what a row took in a full batch.
type Warm = (OnnxExecutor, Duration);

impl Sessions<'_> {
    /// Makes a plan of `threads` by how long a row takes on `session`, which has one.
    pub(super) fn plan(&self, threads: usize, session: &mut OnnxExecutor) -> Plan {
        let mut plan = Plan::for_row(threads, self.warm_up.run(session, 1));
        if !plan.is_simple() {
            // Unless it was the machine that took so long.
            plan = Plan::for_row(threads, self.warm_up.run(session, 1));
        }
        if self.runtime.device() != Device::Cpu {
            plan.solo_threads = 0;
        }
        plan
    }

    /// Loads and warms what the plan asks for beside `first`: all sessions that run side by side, it among them, and
    /// the one for requests that are alone.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or loading panicked.
    pub(super) fn load(
        &self,
        first: OnnxExecutor,
        plan: Plan,
        options: &SessionOptions,
    ) -> Result<(Vec<Warm>, Option<OnnxExecutor>), LoadError> {
        let warm = |mut session| {
            let row = self.warm_up.run(&mut session, self.warm_up.full);
            (session, row)
        };
        let another = |threads| {
            let (session, _) = OnnxExecutor::load(self.runtime, self.path, &options.with_threads(threads))?;
            Ok::<_, LoadError>(warm(session))
        };
        // A thread each: together they take hardly longer than one.
        let all = thread::scope(|scope| {
            let another = || another(plan.intra_op_threads);
            let others: Vec<_> = (1..plan.count).map(|_| scope.spawn(another)).collect();
            let first = Ok(warm(first));
            let join = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or(Err(LoadError::Panicked));
            iter::once(first).chain(others.into_iter().map(join)).collect::<Result<_, _>>()
        })?;
        // Not beside the others, whose rows are being timed.
        let solo = (plan.solo_threads > 0).then(|| another(plan.solo_threads)).transpose()?;
        Ok((all, solo.map(|(session, _)| session)))
    }
}

/// What runs through a session before clients' requests do.
pub(super) struct WarmUp<'a> {
    pub(super) signature: &'a Signature,
    pub(super) batch_axis: bool,
    /// Rows of a full batch.
    pub(super) full: usize,
}

impl WarmUp<'_> {
    /// Runs zeros through the model, one row and then a batch of `rows`, so that the first client does not pay
    /// for lazy initialisation; returns what a row takes. A model that fails on zeros may well work on data.
    fn run(&self, session: &mut OnnxExecutor, rows: usize) -> Duration {
        let mut row_duration = Duration::ZERO;
        for count in [1, 1, rows] {
            if row_duration * count as u32 > LONGEST_WARM_UP {
                break;
            }
            let inputs = self.signature.inputs.iter();
            let inputs: Vec<_> = inputs.map(|spec| zeros(spec, self.batch_axis, count)).collect();
            let inputs: Vec<BatchInput<'_>> = inputs
                .iter()
                .map(|(datatype, shape, words)| BatchInput {
                    datatype: *datatype,
                    shape,
                    data: &bytemuck::cast_slice(words)[..byte_size(*datatype, shape)],
                })
                .collect();
            let started = Instant::now();
            let run =
                if count == rows { session.rehearse(&inputs) } else { session.execute(&inputs).map(drop) };
            if let Err(error) = run {
                tracing::debug!(%error, "warm-up with zeros failed");
                break;
            }
            row_duration = started.elapsed() / count as u32;
        }
        row_duration
    }
}

/// A tensor of zeros (or empty strings), its dynamic dimensions 1.
fn zeros(spec: &TensorSpec, batch_axis: bool, rows: usize) -> (Datatype, Shape, Vec<u64>) {
    let size = |dim: &Dimension| match dim {
        Dimension::Fixed(size) => *size,
        Dimension::Dynamic(_) => 1,
    };
    let mut shape = Shape(spec.dims.iter().map(size).collect());
    if batch_axis {
        shape.0[0] = rows;
    }
    let words = byte_size(spec.datatype, &shape).div_ceil(size_of::<u64>());
    (spec.datatype, shape, vec![0; words])
}

/// An empty string is four bytes: its length.
fn byte_size(datatype: Datatype, shape: &Shape) -> usize {
    shape.elements().unwrap_or(0) * datatype.size().unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(threads: usize, microseconds: u64) -> (usize, usize, usize) {
        let Plan { count, intra_op_threads, solo_threads } =
            Plan::for_row(threads, Duration::from_micros(microseconds));
        (count, intra_op_threads, solo_threads)
    }

    #[test]
    fn long_rows_get_more_threads_and_few_are_left_over() {
        assert_eq!(plan(2, 0), (2, 1, 0));
        assert_eq!(plan(2, 8_000), (1, 2, 0));
        assert_eq!(plan(16, 8_000), (4, 4, 16));
        assert_eq!(plan(1, 1_000_000), (1, 1, 0));
        for threads in 1..=64 {
            for milliseconds in 0..200 {
                let (count, each, solo) = plan(threads, milliseconds * 1000);
                assert!(count * each <= threads && threads < (count + 1) * each, "{threads}, {milliseconds}");
                assert!(solo == 0 || (each < solo && solo <= threads), "{threads}, {milliseconds}");
            }
        }
    }

    #[test]
    fn a_request_that_is_alone_gets_idle_threads_where_a_row_is_worth_them() {
        assert_eq!([100, 399].map(|row| plan(2, row)), [(2, 1, 0); 2]);
        assert_eq!([400, 3_900].map(|row| plan(2, row)), [(2, 1, 2); 2]);
        assert_eq!(plan(16, 1_000), (16, 1, 5));
        assert_eq!(plan(1, 3_900), (1, 1, 0));
    }
}
