//! Runs a command as a step of a Kubeflow pipeline: reads the step's task and writes its results.
//!
//! Kubeflow Pipelines gives a step its task as JSON (`ExecutorInput`, the placeholder `{{$}}`). The task names a file,
//! from which Pipelines reads the results as JSON (`ExecutorOutput`). It reads them strictly: an unknown key, a `null`
//! or a NaN fails the step after its work is done. This module therefore checks everything before it writes.

mod check;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::files;
use crate::outcome::Outcome;

/// The part of a step's task that describes its outputs. The inputs are also on the command line, and read from there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Step {
    outputs: Outputs,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outputs {
    /// The file to write the results to.
    output_file: PathBuf,
    /// The output parameters that the pipeline asks for, by name.
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(default)]
    artifacts: BTreeMap<String, Artifacts>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Artifacts {
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Artifact {
    #[serde(default)]
    name: String,
    uri: String,
    #[serde(default, rename = "type")]
    kind: Kind,
}

/// The type of an artifact. It decides what Pipelines shows of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    schema_title: String,
}

impl Step {
    /// Reads the task.
    ///
    /// # Errors
    /// When the text is not a task of Kubeflow Pipelines.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context(
            "--executor-input is not a task of Kubeflow Pipelines: write the placeholder \
             dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER ({{$}}) into the component",
        )
    }

    /// Checks, before any work is done, that the command has all output parameters that the pipeline asks for.
    ///
    /// # Errors
    /// When one is missing.
    pub fn expect(&self, command: &str, given: &[&str]) -> Result<()> {
        let given: BTreeSet<&str> = given.iter().copied().collect();
        for name in self.outputs.parameters.keys() {
            ensure!(
                given.contains(name.as_str()),
                "the pipeline asks for an output parameter {name:?} of {command}, which has {}: correct the component",
                if given.is_empty() {
                    "none".to_owned()
                } else {
                    given.iter().copied().collect::<Vec<_>>().join(", ")
                }
            );
        }
        Ok(())
    }

    /// Writes the command's results: the output parameters that the pipeline asks for, and the metadata of each
    /// artifact with the address from the task.
    ///
    /// # Errors
    /// When Pipelines would refuse a value, a value is missing, or the file cannot be written.
    pub fn write(&self, outcome: &Outcome) -> Result<()> {
        let output = self.output(outcome)?;
        files::write(&self.outputs.output_file, &serde_json::to_vec(&output)?)
    }

    /// The content of the results file.
    fn output(&self, outcome: &Outcome) -> Result<Value> {
        let mut parameters = Map::new();
        for name in self.outputs.parameters.keys() {
            let value = outcome.parameters.get(name);
            let value = value.with_context(|| format!("this command has no output parameter {name:?}"))?;
            parameters.insert(name.clone(), value.clone());
        }
        let artifacts: Map<String, Value> = self
            .outputs
            .artifacts
            .iter()
            .map(|(name, list)| {
                let list: Vec<Value> = list.artifacts.iter().map(|artifact| artifact.done(outcome)).collect();
                (name.clone(), json!({ "artifacts": list }))
            })
            .collect();
        let output = json!({ "parameterValues": parameters, "artifacts": artifacts });
        check::no_nulls(&output, "")?;
        Ok(output)
    }
}

impl Artifact {
    /// The artifact with its metadata from the command's results.
    fn done(&self, outcome: &Outcome) -> Value {
        let metadata = match self.kind.schema_title.as_str() {
            "system.Metrics" => Value::Object(outcome.metrics.clone()),
            "system.ClassificationMetrics" => match &outcome.confusion {
                Some(confusion) => json!({ "confusionMatrix": matrix(confusion) }),
                None => json!({}),
            },
            // Pipelines shows the files themselves, so they need no metadata.
            "system.HTML" | "system.Markdown" => json!({}),
            _ => Value::Object(outcome.facts.clone()),
        };
        // Pipelines stores the artifact under this name. Where the task has none, Pipelines makes one up.
        if self.name.is_empty() {
            json!({ "uri": self.uri, "metadata": metadata })
        } else {
            json!({ "name": self.name, "uri": self.uri, "metadata": metadata })
        }
    }
}

/// A confusion matrix in the format of Pipelines: a row for each label.
fn matrix(confusion: &Array2<u32>) -> Value {
    let classes: Vec<Value> =
        (0..confusion.ncols()).map(|digit| json!({ "displayName": digit.to_string() })).collect();
    let rows: Vec<Value> = confusion.rows().into_iter().map(|row| json!({ "row": row.to_vec() })).collect();
    json!({ "annotationSpecs": classes, "rows": rows })
}
