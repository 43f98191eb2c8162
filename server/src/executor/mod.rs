//! Running a model. No other module names ONNX Runtime's bindings (`ort`).
//!
//! | question | file |
//! |---|---|
//! | How is ONNX Runtime's library loaded, and which options do sessions have? | `runtime` |
//! | Which bytes does a session run: the file, or a rewritten model? | `source` |
//! | How does a session run a batch? | `onnx` |
//! | How do texts get in and out? | `strings` |
//! | Which operators of our own do sessions have? | `checked`, with `broadcast` |
//! | How does a GPU see few batch sizes only? | `by_size` |
//! | How is a run stopped? | `stop` |
//! | Why did a run fail, and what is the client told? | `failure` |
//! | Which of ONNX Runtime's warnings are logged? | `warning_filter` |
//! | What does a run cost? | `run_cost` |

mod broadcast;
mod by_size;
mod checked;
mod failure;
mod onnx;
mod run_cost;
mod runtime;
mod source;
mod stop;
mod strings;
mod warning_filter;

use oip::{Datatype, Shape, Tensor};

pub use by_size::BySize;
pub use failure::{ExecuteError, Fault};
pub use onnx::OnnxExecutor;
pub use run_cost::RunCost;
pub use runtime::{Runtime, RuntimeError, SessionOptions};
pub use source::ModelSource;
pub use stop::{Stop, has_stoppable_runs};

/// One input of a batch: the rows of all its requests, one after another.
#[derive(Clone, Copy, Debug)]
pub struct BatchInput<'a> {
    /// Its position among the model's inputs.
    pub position: usize,
    /// The type of its elements.
    pub datatype: Datatype,
    /// The shape of the whole batch.
    pub shape: &'a Shape,
    /// Its elements in the layout of [`Tensor`], aligned for their datatype.
    pub data: &'a [u8],
}

/// Runs a model, one batch at a time.
pub trait Executor: Send + Sync {
    /// Runs the model on inputs in the order of its signature, where optional inputs may be missing. Returns all
    /// outputs in the order of the signature. `stop` can end the run early. Without it, nothing can.
    ///
    /// # Errors
    /// ONNX Runtime fails, or the run was stopped. The executor stays usable after both.
    fn execute(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError>;
}
