//! What a command came to, for programs that read its results.

use ndarray::Array2;
use serde_json::{Map, Value};

/// Results of one command. Which of them a pipeline shows, and where, is the pipeline's business.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Values that later steps take, by name.
    pub parameters: Map<String, Value>,
    /// What is to be known about the files that the command wrote.
    pub facts: Map<String, Value>,
    /// Numbers to compare runs by.
    pub metrics: Map<String, Value>,
    /// Number of pictures, `[label, digit answered]`.
    pub confusion: Option<Array2<u32>>,
    /// Why the program fails although its work is done, where the user asked for that.
    pub failure: Option<String>,
}

impl Outcome {
    /// With one more value for later steps.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// With one more fact about the files.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// With one more number.
    #[must_use]
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.to_owned(), value.into());
        self
    }
}
