//! A time limit for the runs of a model that is being loaded: a model that is well with real data may compute for ever on
//! the zeros and random numbers that it is tried with.

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

/// A run that takes longer is stopped, the very first too.
const LONGEST: Duration = Duration::from_secs(30);

/// How often a thread looks whether one does.
const LOOK: Duration = Duration::from_secs(1);

/// A run, and since when it goes on.
type Going = (Arc<Stop>, Instant);

/// The limit for one model.
#[derive(Clone, Debug)]
pub(super) struct TimeLimit {
    model: Arc<str>,
    /// Runs that go on.
    going: Arc<Mutex<Vec<Going>>>,
    /// Whether a run was stopped: no other is tried then.
    is_passed: Arc<AtomicBool>,
}

impl TimeLimit {
    /// For the model of this name.
    pub(super) fn new(model: &str) -> Self {
        Self { model: model.into(), going: Arc::default(), is_passed: Arc::default() }
    }

    /// Does what `load` does; runs that take too long meanwhile are stopped. A thread looks now and then: to wake
    /// one for each run would add to the time that is measured.
    pub(super) fn watched<R>(&self, load: impl FnOnce() -> R) -> R {
        let (loading, end) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while end.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    let is_late = |(_, started): &&Going| started.elapsed() >= LONGEST;
                    let late: Vec<Arc<Stop>> =
                        self.going().iter().filter(is_late).map(|(stop, _)| Arc::clone(stop)).collect();
                    for stop in late {
                        stop.ask();
                    }
                }
            });
            let _loading = loading;
            load()
        })
    }

    /// Runs `run`, which is stopped when it takes too long, and says how long it took.
    ///
    /// # Errors
    /// Its own, or that it or one before was stopped.
    pub(super) fn run<R>(
        &self,
        run: impl FnOnce(&Stop) -> Result<R, ExecuteError>,
    ) -> Result<(R, Duration), ExecuteError> {
        if self.is_passed.load(Ordering::Relaxed) {
            let message = "a run before took too long".to_owned();
            return Err(ExecuteError { fault: Fault::Stopped, message });
        }
        let stop = Arc::<Stop>::default();
        self.going().push((Arc::clone(&stop), Instant::now()));
        let started = Instant::now();
        let result = run(&stop);
        let took = started.elapsed();
        self.going().retain(|(going, _)| !Arc::ptr_eq(going, &stop));
        if result.as_ref().is_err_and(|error| error.fault == Fault::Stopped)
            && !self.is_passed.swap(true, Ordering::Relaxed)
        {
            let model = &*self.model;
            tracing::warn!(
                model,
                "a run with zeros or the like was stopped after {LONGEST:?}: served without warm-up"
            );
        }
        result.map(|result| (result, took))
    }

    fn going(&self) -> MutexGuard<'_, Vec<Going>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An executor whose runs have the limit.
pub(super) struct Limited<'a, E> {
    pub(super) limit: &'a TimeLimit,
    pub(super) executor: &'a mut E,
}

impl<E: Executor> Executor for Limited<'_, E> {
    fn execute(&mut self, inputs: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
        let Self { limit, executor } = self;
        limit.run(|stop| executor.execute(inputs, Some(stop))).map(|(outputs, _)| outputs)
    }
}
