//! The sessions of a model: loaded, timed and warm.

use std::{
    iter,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
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

/// Rows of the run that shows what each further row adds.
const TIMED_ROWS: usize = 4;

/// Most runs of which the best counts. The shortest rows, which the machine disturbs most, all get this many.
const TIMED_RUNS: usize = 20;

/// Least runs of which the best counts. The first run of a session is slow, since ONNX Runtime then allocates its memory.
const MIN_TIMED_RUNS: usize = 3;

/// Time after which no further run is timed, so that slow models are not slow to load as well.
const TIMING_BUDGET: Duration = Duration::from_millis(50);

/// Longest run at warm-up. A run that is expected to take longer is left out. The first row is run in any case, since
/// nothing is known of it.
const MAX_WARM_UP_RUN: Duration = Duration::from_millis(500);

/// Least time that a session needs to plan a run by its size. A smaller difference between runs is chance.
const MIN_PLANNING_TIME: Duration = Duration::from_millis(1);

/// Loads a model's sessions, and warms them.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) runtime: Runtime,
    pub(super) source: ModelSource,
    pub(super) warm_up: WarmUp,
}

impl Sessions {
    /// Loads one more session, and runs nothing on it.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model.
    pub(super) fn another(&self, options: &SessionOptions) -> Result<OnnxExecutor, LoadError> {
        Ok(OnnxExecutor::load(&self.runtime, &self.source, options)?.0)
    }

    /// Loads one more session, and warms it with up to `full` rows.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model.
    pub(super) fn warm_one(&self, options: &SessionOptions, full: usize) -> Result<OnnxExecutor, LoadError> {
        let mut session = self.another(options)?;
        self.warm_up.warm(&mut session, full);
        Ok(session)
    }

    /// Loads the sessions that the plan asks for beside `first`, and warms all of them with up to `full` rows. Returns
    /// those that run side by side, and the idle session if the plan has one.
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
        // Each loads on a thread of its own. Together they take hardly longer than one.
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

    /// Loads and warms what an instance on a GPU runs: one session for each of the `sizes`, or a single one for batches of
    /// up to `full` rows if there are none.
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
            // However long this takes: the session plans now, and the first client would wait for that otherwise.
            self.warm_up
                .run(rows, Duration::ZERO, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
            Ok::<_, LoadError>((rows, session))
        };
        Ok(Box::new(BySize::new(sizes.iter().map(session).collect::<Result<Vec<_>, _>>()?)))
    }
}

/// Runs zeros through a session before clients' requests do.
#[derive(Clone)]
pub(super) struct WarmUp {
    pub(super) rules: Rules,
    pub(super) limit: TimeLimit,
}

impl WarmUp {
    /// Returns what runs cost on this session, with one row and with up to `most_rows`. Each time is the best of several
    /// runs: other programs on the machine make a run longer, and nothing makes it shorter. The cost is 0 where the model
    /// fails on zeros. Where requests choose the size of a row, every row is taken to cost the same, since the smallest
    /// rows would not show what a further one adds.
    pub(super) fn time(&self, session: &mut OnnxExecutor, most_rows: usize) -> RunCost {
        let mut run =
            |rows, row| self.run(rows, row, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
        let first_row = best_of_several(|best| run(1, best.unwrap_or_default())).unwrap_or_default();
        let rows = if self.rules.rows_are_alike() { TIMED_ROWS.min(most_rows) } else { 1 };
        if rows < 2 || !plan::is_worth_sharing(first_row) {
            return RunCost::of_rows(first_row);
        }
        best_of_several(|_| run(rows, first_row)).map_or(RunCost::of_rows(first_row), |several| {
            let further_row = several.saturating_sub(first_row) / (rows as u32 - 1);
            RunCost { first_row, further_row }
        })
    }

    /// Returns whether a run takes much longer after one with another number of rows. The session then plans each number
    /// anew.
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
        // Both came after another size. Either may have been slow by chance.
        two.min(one) > 2 * same + MIN_PLANNING_TIME
    }

    /// Runs one row and then a batch of `full` rows, so that the first client does not wait for what ONNX Runtime
    /// initialises at the first run.
    fn warm(&self, session: &mut OnnxExecutor, full: usize) {
        let run =
            |rows, row| self.run(rows, row, |inputs, stop| session.execute(inputs, Some(stop)).map(drop));
        if let Some(row) = first_row(run) {
            self.run(full, row, |inputs, stop| session.warm_full_batch(inputs, Some(stop)));
        }
    }

    /// Runs `rows` rows of zeros through the model, and returns how long that took. Returns `None` if they would take long
    /// at `row` for each, or if they fail: a model that fails on zeros may well work on data.
    fn run(
        &self,
        rows: usize,
        row: Duration,
        run: impl FnOnce(&[BatchInput<'_>], &Stop) -> Result<(), ExecuteError>,
    ) -> Option<Duration> {
        if row * rows as u32 > MAX_WARM_UP_RUN {
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

/// Returns the shortest time of several runs, or `None` if none succeeds. `run` is told the shortest time so far, and
/// returns `None` where it does not run again.
fn best_of_several(mut run: impl FnMut(Option<Duration>) -> Option<Duration>) -> Option<Duration> {
    let (mut best, started) = (None, Instant::now());
    for runs in 0..TIMED_RUNS {
        if runs >= MIN_TIMED_RUNS && started.elapsed() > TIMING_BUDGET {
            break;
        }
        let Some(took) = run(best) else { break };
        best = Some(best.map_or(took, |best: Duration| best.min(took)));
    }
    best
}

/// Returns the shorter times of two measurements: of the run of one row, and of the run of [`TIMED_ROWS`].
pub(super) fn best_of_two(one: RunCost, other: RunCost) -> RunCost {
    let further_rows = TIMED_ROWS as u32 - 1;
    let several = |cost: RunCost| cost.first_row + cost.further_row * further_rows;
    let first_row = one.first_row.min(other.first_row);
    let further_row = several(one).min(several(other)).saturating_sub(first_row) / further_rows;
    RunCost { first_row, further_row }
}

/// Returns how long one row takes the second time, or the first time if that took long. `run` runs it.
fn first_row(mut run: impl FnMut(usize, Duration) -> Option<Duration>) -> Option<Duration> {
    let row = run(1, Duration::ZERO)?;
    Some(run(1, row).unwrap_or(row))
}

/// Makes a tensor of zeros or empty strings. Its dynamic dimensions are 1, but for the number of rows.
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

/// Returns the bytes of a tensor. An empty string has four, for its length.
fn byte_size(datatype: Datatype, shape: &Shape) -> usize {
    shape.elements().unwrap_or(0) * datatype.size().unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_does_not_change_the_best_time() {
        let quick = Duration::from_micros(50);
        let mut runs = 0;
        // Nine of ten runs are disturbed, and the first one always is.
        let best = best_of_several(|_| {
            runs += 1;
            Some(if runs % 10 == 5 { quick } else { quick * (2 + runs) })
        });
        assert_eq!((best, runs), (Some(quick), TIMED_RUNS as u32));
    }

    #[test]
    fn the_best_of_two_costs_has_the_shorter_runs() {
        let cost = |first, further| RunCost {
            first_row: Duration::from_micros(first),
            further_row: Duration::from_micros(further),
        };
        assert_eq!(best_of_two(cost(100, 50), cost(100, 50)), cost(100, 50));
        assert_eq!(best_of_two(cost(100, 50), cost(200, 30)), cost(100, 50));
        // The runs of four rows took 250 and 220.
        assert_eq!(best_of_two(cost(100, 50), cost(130, 30)), cost(100, 40));
    }

    #[test]
    fn a_slow_model_is_run_a_few_times_only() {
        let mut runs = 0;
        let best = best_of_several(|_| {
            runs += 1;
            let started = Instant::now();
            while started.elapsed() < TIMING_BUDGET {
                thread::yield_now();
            }
            Some(TIMING_BUDGET)
        });
        assert_eq!(best, Some(TIMING_BUDGET));
        assert_eq!(runs, MIN_TIMED_RUNS);
    }

    #[test]
    fn a_run_that_is_not_repeated_counts_alone() {
        let once = |best: Option<Duration>| best.is_none().then_some(Duration::from_secs(1));
        assert_eq!(best_of_several(once), Some(Duration::from_secs(1)));
        assert_eq!(best_of_several(|_| None), None);
    }
}
