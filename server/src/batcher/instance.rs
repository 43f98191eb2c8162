//! One instance of a model: an executor and the buffers of its batches.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oip::Tensor;

use super::{
    gather::{ExecutionInputs, Gatherer},
    scatter::scatter,
};
use crate::executor::{ExecuteError, Executor};

/// Runs one batch at a time.
pub struct Instance {
    executor: Box<dyn Executor>,
    gatherer: Gatherer,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// An instance that runs batches on `executor`.
    pub fn new(executor: Box<dyn Executor>) -> Self {
        Self { executor, gatherer: Gatherer::default() }
    }

    /// Runs the requests as one batch and gives each its outputs, in order. `rows` are those of each.
    ///
    /// # Errors
    /// The executor's error, or its panic: the instance stays usable after both.
    pub fn run(
        &mut self,
        requests: &ExecutionInputs<'_>,
        rows: &[usize],
    ) -> Result<Vec<Vec<Tensor>>, ExecuteError> {
        let executor = &mut self.executor;
        let gatherer = &mut self.gatherer;
        let execute = || gatherer.gather(requests, |inputs| executor.execute(inputs));
        let outputs = catch_unwind(AssertUnwindSafe(execute))
            .unwrap_or_else(|_| Err(ExecuteError("the executor panicked".into())))?;
        scatter(outputs, rows)
    }
}
