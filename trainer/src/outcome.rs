//! The results of a command, for programs that read them.

use ndarray::Array2;
use serde_json::{Map, Value};

/// The results of one command. The pipeline decides which of them it shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Output parameters for later steps, by name.
    pub parameters: Map<String, Value>,
    /// Metadata of the artifacts that the command wrote, by name.
    pub facts: Map<String, Value>,
    /// Numbers for comparing runs, by name.
    pub metrics: Map<String, Value>,
    /// Confusion matrix in pictures, `[label, digit answered]`.
    pub confusion: Option<Array2<u32>>,
    /// Why the program exits with an error although its work is done, as with `gate --fail`.
    pub failure: Option<String>,
}

impl Outcome {
    /// Adds an output parameter for later steps.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an entry to the metadata of the artifacts.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a number for comparing runs.
    #[must_use]
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.to_owned(), value.into());
        self
    }
}
