//! A time limit for the runs of a model that is being loaded.
//!
//! Loading runs the model on zeros and random numbers. A model that works on real data may compute for ever on those.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use oip::Tensor;

use crate::executor::{BatchInput, ExecuteError, Executor, Fault, Stop};

/// Longest run while a model is loaded. A longer one is stopped. Models in use take seconds at most.
const MAX_RUN_TIME: Duration = Duration::from_secs(30);

/// Interval at which a thread looks for runs past the limit.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A run that has not ended, and when it started.
type StartedRun = (Arc<Stop>, Instant);

/// The time limit of one model. Clones share the runs that it counts.
#[derive(Clone, Debug)]
pub(super) struct TimeLimit {
    model: Arc<str>,
    /// Runs that have not ended.
    started_runs: Arc<Mutex<Vec<StartedRun>>>,
    /// Whether a run was stopped. No other is tried after it.
    was_exceeded: Arc<AtomicBool>,
}

impl TimeLimit {
    /// Makes the limit for the model of this name, which the log shows.
    pub(super) fn new(model: &str) -> Self {
        Self { model: model.into(), started_runs: Arc::default(), was_exceeded: Arc::default() }
    }

    /// Calls `load`, and stops runs that take too long meanwhile. A thread looks for them at intervals. Waking it for each
    /// run would add to the times that are measured.
    pub(super) fn watched<R>(&self, load: impl FnOnce() -> R) -> R {
        let (loading, end) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while end.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let is_late = |(_, started): &&StartedRun| started.elapsed() >= MAX_RUN_TIME;
                    let late: Vec<Arc<Stop>> = self
                        .started_runs()
                        .iter()
                        .filter(is_late)
                        .map(|(stop, _)| Arc::clone(stop))
                        .collect();
                    for stop in late {
                        stop.ask();
                    }
                }
            });
            let _loading = loading;
            load()
        })
    }

    /// Calls `run` with the handle that stops it, and returns its result and how long it took.
    ///
    /// # Errors
    /// The run fails, or it or an earlier one was stopped.
    pub(super) fn run<R>(
        &self,
        run: impl FnOnce(&Stop) -> Result<R, ExecuteError>,
    ) -> Result<(R, Duration), ExecuteError> {
        if self.was_exceeded.load(Ordering::Relaxed) {
            let message = "a run before took too long".to_owned();
            return Err(ExecuteError { fault: Fault::Stopped, message });
        }
        let stop = Arc::<Stop>::default();
        self.started_runs().push((Arc::clone(&stop), Instant::now()));
        let started = Instant::now();
        let result = run(&stop);
        let took = started.elapsed();
        self.started_runs().retain(|(started_runs, _)| !Arc::ptr_eq(started_runs, &stop));
        if result.as_ref().is_err_and(|error| error.fault == Fault::Stopped)
            && !self.was_exceeded.swap(true, Ordering::Relaxed)
        {
            let model = &*self.model;
            tracing::warn!(
                model,
                "a run with zeros or the like was stopped after {MAX_RUN_TIME:?}: served without warm-up"
            );
        }
        result.map(|result| (result, took))
    }

    fn started_runs(&self) -> MutexGuard<'_, Vec<StartedRun>> {
        self.started_runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An executor whose runs have a time limit.
pub(super) struct LimitedExecutor<'a, E> {
    pub(super) limit: &'a TimeLimit,
    pub(super) executor: &'a mut E,
}

impl<E: Executor> Executor for LimitedExecutor<'_, E> {
    fn execute(&mut self, inputs: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
        let Self { limit, executor } = self;
        limit.run(|stop| executor.execute(inputs, Some(stop))).map(|(outputs, _)| outputs)
    }
}
