//! The sessions of a model: loaded, timed and warm.

use std::{
    iter,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use oip::{Datatype, Shape};

use super::{
    LoadError,
    plan::{self, Plan},
    time_limit::TimeLimit,
};
use crate::{
    executor::{
        BatchInput, BySize, ExecuteError, Executor, ModelSource, OnnxExecutor, RunCost, Runtime,
        SessionOptions, Stop,
    },
    model::{Dimension, TensorSpec},
    request::validate::Rules,
};

/// So many rows show what each further one adds.
const SHOWING_ROWS: usize = 4;

/// Warm-up runs only what is expected to take no longer than this, but for the very first row.
const LONGEST_WARM_UP: Duration = Duration::from_millis(500);

/// What takes less than this beside a run is no planning for its size.
const PLANNING: Duration = Duration::from_millis(1);

/// Where a model's sessions come from, and what warms them.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) runtime: Runtime,
    pub(super) source: ModelSource,
    pub(super) warm_up: WarmUp,
}

impl Sessions {
    /// One more session, cold.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model.
    pub(super) fn another(&self, options: &SessionOptions) -> Result<OnnxExecutor, LoadError> {
        Ok(OnnxExecutor::load(&self.runtime, &self.source, options)?.0)
    }

    /// One more session, warm for up to `full` rows.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model.
    pub(super) fn warm_one(&self, options: &SessionOptions, full: usize) -> Result<OnnxExecutor, LoadError> {
        let mut session = self.another(options)?;
        self.warm_up.warm(&mut session, full);
        Ok(session)
    }

    /// Loads and warms, with up to `full` rows, what the plan asks for beside `first`: all sessions that run side by
    /// side, it among them, and the one for requests that are alone.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or loading panicked.
    pub(super) fn load(
        &self,
        first: OnnxExecutor,
        plan: Plan,
        options: &SessionOptions,
        full: usize,
    ) -> Result<(Vec<OnnxExecutor>, Option<OnnxExecutor>), LoadError> {
        let warm = |mut session| {
            self.warm_up.warm(&mut session, full);
            session
        };
        let another = |threads| self.warm_one(&options.with_threads(threads), full);
        // A thread each: together they take hardly longer than one.
        let all = thread::scope(|scope| {
            let another = || another(plan.intra_op_threads);
            let others: Vec<_> = (1..plan.count).map(|_| scope.spawn(another)).collect();
            let first = Ok(warm(first));
            let join = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or(Err(LoadError::Panicked));
            iter::once(first).chain(others.into_iter().map(join)).collect::<Result<_, _>>()
        })?;
        let idle_session =
            (plan.idle_session_threads > 0).then(|| another(plan.idle_session_threads)).transpose()?;
        Ok((all, idle_session))
    }

    /// Loads and warms what an instance on a GPU runs: a session for batches of all sizes up to `full`, or one for each of
    /// the `sizes`, if there are any.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model.
    pub(super) fn load_for_gpu(
        &self,
        options: &SessionOptions,
        full: usize,
        sizes: &[usize],
    ) -> Result<Box<dyn Executor>, LoadError> {
        if sizes.is_empty() {
            return Ok(Box::new(self.warm_one(options, full)?));
        }
        let session = |&rows: &usize| {
            let mut session = self.another(options)?;
            // However long that takes: it is planning, which else the first client waits for.
            self.warm_up
                .run(rows, Duration::ZERO, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
            Ok::<_, LoadError>((rows, session))
        };
        Ok(Box::new(BySize::new(sizes.iter().map(session).collect::<Result<Vec<_>, _>>()?)))
    }
}

/// What runs through a session before clients' requests do.
#[derive(Clone)]
pub(super) struct WarmUp {
    pub(super) rules: Rules,
    pub(super) limit: TimeLimit,
}

impl WarmUp {
    /// How long runs take on a session that is new, with one row and with up to `most_rows`. 0 where zeros fail; rows
    /// of a size that requests choose are taken to cost the same each, which the smallest of them would not show.
    pub(super) fn time(&self, session: &mut OnnxExecutor, most_rows: usize) -> RunCost {
        let mut run =
            |rows, row| self.run(rows, row, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
        let time = RunCost::of_rows(first_row(&mut run).unwrap_or_default());
        if !plan::is_worth_sharing(time) {
            return time;
        }
        // Once more, since it may have been the machine that took so long.
        let first_row = run(1, time.first_row).unwrap_or(time.first_row);
        let rows = if self.rules.rows_are_alike() { SHOWING_ROWS.min(most_rows) } else { 1 };
        let several = if rows > 1 { run(rows, first_row).and_then(|_| run(rows, first_row)) } else { None };
        several.map_or(RunCost::of_rows(first_row), |several| {
            let further_row = several.saturating_sub(first_row) / (rows as u32 - 1);
            RunCost { first_row, further_row }
        })
    }

    /// Whether a run takes much longer where the one before had another number of rows, as if the session planned for
    /// each anew.
    pub(super) fn plans_by_size(&self, session: &mut OnnxExecutor) -> bool {
        let is_sized = |spec: &TensorSpec| spec.datatype.size().is_some();
        let Rules { signature, batching, .. } = &self.rules;
        let is_alike = batching.is_along_first_axes() && self.rules.rows_are_alike();
        if !is_alike || !signature.required().iter().all(is_sized) {
            return false;
        }
        let mut run = |rows| {
            self.run(rows, Duration::ZERO, |inputs, stop| session.execute(inputs, Some(stop)).map(drop))
        };
        let [Some(_), Some(same), Some(two), Some(one)] = [1, 1, 2, 1].map(&mut run) else { return false };
        // Both came after another size; one of them may have been slow by chance.
        two.min(one) > 2 * same + PLANNING
    }

    /// Runs what clients may send through the session, so that the first of them does not pay for lazy initialisation:
    /// one row and then a batch of `full` rows.
    fn warm(&self, session: &mut OnnxExecutor, full: usize) {
        let run =
            |rows, row| self.run(rows, row, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
        if let Some(row) = first_row(run) {
            self.run(full, row, |inputs, stop| session.warm_full_batch(inputs, Some(stop)));
        }
    }

    /// Runs so many rows of zeros through the model, unless that would take long where a row takes `row`, and returns
    /// how long it took. A model that fails on zeros may well work on data.
    fn run(
        &self,
        rows: usize,
        row: Duration,
        run: impl FnOnce(&[BatchInput<'_>], &Stop) -> Result<(), ExecuteError>,
    ) -> Option<Duration> {
        if row * rows as u32 > LONGEST_WARM_UP {
            return None;
        }
        let inputs = self.rules.signature.required().iter().enumerate();
        let inputs: Vec<_> =
            inputs.map(|(index, spec)| zeros(spec, self.rules.input_rows(index), rows)).collect();
        let inputs: Vec<BatchInput<'_>> = inputs
            .iter()
            .enumerate()
            .map(|(position, (datatype, shape, words))| BatchInput {
                position,
                datatype: *datatype,
                shape,
                data: &bytemuck::cast_slice(words)[..byte_size(*datatype, shape)],
            })
            .collect();
        let failed = |error| tracing::debug!(%error, "warm-up with zeros failed");
        self.limit.run(|stop| run(&inputs, stop)).map_err(failed).ok().map(|((), took)| took)
    }
}

/// How long one row takes, which `run` runs: the second time, unless the first took long.
fn first_row(mut run: impl FnMut(usize, Duration) -> Option<Duration>) -> Option<Duration> {
    let row = run(1, Duration::ZERO)?;
    Some(run(1, row).unwrap_or(row))
}

/// A tensor of zeros (or empty strings), its dynamic dimensions 1.
fn zeros(spec: &TensorSpec, row_axis: Option<usize>, rows: usize) -> (Datatype, Shape, Vec<u64>) {
    let size = |dim: &Dimension| match dim {
        Dimension::Fixed(size) => *size,
        Dimension::Dynamic(_) => 1,
    };
    let mut shape = Shape(spec.dims.iter().flatten().map(size).collect());
    if let Some(axis) = row_axis {
        shape.0[axis] = rows;
    }
    let words = byte_size(spec.datatype, &shape).div_ceil(size_of::<u64>());
    (spec.datatype, shape, vec![0; words])
}

/// An empty string is four bytes: its length.
fn byte_size(datatype: Datatype, shape: &Shape) -> usize {
    shape.elements().unwrap_or(0) * datatype.size().unwrap_or(4)
}
