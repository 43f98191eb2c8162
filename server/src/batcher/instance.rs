//! One instance of a model: an executor and the buffers of its batches.

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

/// Runs one batch at a time.
pub struct Instance {
    executor: Box<dyn Executor>,
    gatherer: Gatherer,
    /// The axis that counts rows in each output; the first for outputs that are not listed.
    output_axes: Vec<usize>,
    thread: Option<InstanceThread>,
    /// For batches that are not known to be short; started with the first of them.
    apart: Option<InstanceThread>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// An instance that runs batches on `executor`.
    pub fn new(executor: Box<dyn Executor>) -> Self {
        let gatherer = Gatherer::default();
        Self { executor, gatherer, output_axes: Vec::new(), thread: None, apart: None }
    }

    /// The same instance for requests that are joined along these axes, instead of the first of every tensor.
    #[must_use]
    pub fn along(self, axes: &RowAxes) -> Self {
        let gatherer = Gatherer::along(axes.inputs.clone());
        Self { gatherer, output_axes: axes.outputs.clone(), ..self }
    }

    /// An instance whose batches run on that thread alone, not where they are formed.
    pub fn on_thread(executor: Box<dyn Executor>, thread: InstanceThread) -> Self {
        Self { thread: Some(thread), ..Self::new(executor) }
    }

    /// The thread that its batches run on, if they cannot run anywhere.
    pub(super) fn thread(&self) -> Option<&InstanceThread> {
        self.thread.as_ref()
    }

    /// The thread for batches that are not to run where they are formed; started when there is none yet.
    pub(super) fn thread_apart(&mut self) -> io::Result<InstanceThread> {
        if let Some(thread) = self.thread.as_ref().or(self.apart.as_ref()) {
            return Ok(thread.clone());
        }
        Ok(self.apart.insert(InstanceThread::start()?).clone())
    }

    /// Runs the requests as one batch that began at `started`, and gives each its outputs, in order, and
    /// where the time went. `rows` are those of each; `stop` can end the run early.
    ///
    /// # Errors
    /// The executor's error, or its panic: the instance stays usable after both.
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
