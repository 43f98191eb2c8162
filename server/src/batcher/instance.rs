//! An instance of a model: a session, and the buffers of its batches.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use oip::Tensor;
use tokio::time::Instant;

use super::{
    gather::{ExecutionInputs, Gatherer},
    scatter::scatter,
    thread::InstanceThread,
};
use crate::{
    executor::{ExecuteError, Executor, Stop},
    model::RowAxes,
    telemetry::BatchTimes,
};

/// Loads one more instance of a model, or tells why it cannot.
pub type Replacement = Box<dyn Fn() -> Result<Instance, String> + Send + Sync>;

/// An executor that runs one batch at a time, with the buffers in which it joins the rows of requests.
pub struct Instance {
    executor: Box<dyn Executor>,
    gatherer: Gatherer,
    /// The axis of the rows in each output. Outputs beyond the list have it first.
    output_axes: Vec<usize>,
    /// The only thread that may run it, if it has one.
    thread: Option<InstanceThread>,
    /// The thread for batches that are not known to be short, once there was one.
    long_run_thread: Option<InstanceThread>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes an instance that runs on any thread.
    pub fn new(executor: Box<dyn Executor>) -> Self {
        let gatherer = Gatherer::default();
        Self { executor, gatherer, output_axes: Vec::new(), thread: None, long_run_thread: None }
    }

    /// Sets the axes along which it joins the rows of requests. The default is the first axis of every tensor.
    #[must_use]
    pub fn along(self, axes: &RowAxes) -> Self {
        let gatherer = Gatherer::along(axes.inputs.clone());
        Self { gatherer, output_axes: axes.outputs.clone(), ..self }
    }

    /// Makes an instance that runs on `thread` only.
    pub fn on_thread(executor: Box<dyn Executor>, thread: InstanceThread) -> Self {
        Self { thread: Some(thread), ..Self::new(executor) }
    }

    /// Returns the only thread that may run it, if it has one.
    pub(super) fn thread(&self) -> Option<&InstanceThread> {
        self.thread.as_ref()
    }

    /// Returns the thread for batches that must not run on a worker's thread, and starts it if there is none yet.
    pub(super) fn long_run_thread(&mut self) -> io::Result<InstanceThread> {
        if let Some(thread) = self.thread.as_ref().or(self.long_run_thread.as_ref()) {
            return Ok(thread.clone());
        }
        Ok(self.long_run_thread.insert(InstanceThread::start()?).clone())
    }

    /// Runs requests as one batch that began at `started`. `rows` has the rows of each request, and `stop` can end
    /// the run early. Returns the outputs of each request, in order, and the times of the run's stages.
    ///
    /// # Errors
    /// The executor fails or panics. The instance stays usable after both.
    pub fn run(
        &mut self,
        requests: &ExecutionInputs<'_>,
        rows: &[usize],
        started: Instant,
        stop: Option<&Stop>,
    ) -> Result<(Vec<Vec<Tensor>>, BatchTimes), ExecuteError> {
        let executor = &mut self.executor;
        let gatherer = &mut self.gatherer;
        let execute = || {
            gatherer.gather(requests, |inputs| {
                let joined = Instant::now();
                executor.execute(inputs, stop).map(|outputs| (outputs, joined))
            })
        };
        let (outputs, joined) = catch_unwind(AssertUnwindSafe(execute))
            .unwrap_or_else(|_| Err(ExecuteError::server("the executor panicked")))?;
        let executed = Instant::now();
        let answers = scatter(outputs, rows, &self.output_axes)?;
        let times =
            BatchTimes { input: joined - started, infer: executed - joined, output: executed.elapsed() };
        Ok((answers, times))
    }
}
