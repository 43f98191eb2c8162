//! Running a model. The seam behind which ONNX Runtime stands: nothing else knows it.

mod broadcast;
mod by_size;
mod checked;
mod failure;
mod onnx;
mod repeated;
mod run_cost;
mod runtime;
mod source;
mod stop;
mod strings;

use oip::{Datatype, Shape, Tensor};

pub use by_size::BySize;
pub use failure::{ExecuteError, Fault};
pub use onnx::OnnxExecutor;
pub use run_cost::RunCost;
pub use runtime::{Runtime, RuntimeError, SessionOptions};
pub use source::ModelSource;
pub use stop::{Stop, runs_go_on};

/// One input of a batch: the rows of all its requests, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct BatchInput<'a> {
    /// Its position among the model's inputs.
    pub position: usize,
    /// What each element is.
    pub datatype: Datatype,
    /// Shape of the whole batch.
    pub shape: &'a Shape,
    /// The elements as in [`Tensor`], aligned to 8 bytes.
    pub data: &'a [u8],
}

/// Something that runs a model, one batch at a time.
pub trait Executor: Send + Sync {
    /// Runs the model on inputs in its signature's order, of which optional ones may be missing; gives every output in
    /// the signature's order. `stop` ends it before; without one it takes what it takes.
    ///
    /// # Errors
    /// The engine's own error, or that it was stopped; the executor stays usable.
    fn execute(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError>;
}
