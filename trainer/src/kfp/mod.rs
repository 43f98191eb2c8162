//! A command as a step of a Kubeflow pipeline: reads what the step was given, and writes what it came to.
//!
//! Pipelines gives a step its task as JSON (`ExecutorInput`, the placeholder `{{$}}`) and reads another JSON
//! (`ExecutorOutput`) from a file that the first one names. It reads that one strictly: an unknown key, a `null` or a
//! number that is none fails the step after its work is done. So everything is checked here.

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

/// The task of a step, as far as it is about what comes out. What goes in is on the command line already.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Step {
    outputs: Outputs,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outputs {
    /// The file that is written.
    output_file: PathBuf,
    /// What later steps take.
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

/// The type of an artifact, which says what Pipelines shows of it.
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
    /// When it is not what Pipelines gives.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context(
            "--executor-input is not what Kubeflow Pipelines gives: write the placeholder \
             dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER ({{$}}) into the component",
        )
    }

    /// Checks, before any work is done, that the command gives all parameters that later steps take.
    ///
    /// # Errors
    /// When it does not.
    pub fn expect(&self, command: &str, given: &[&str]) -> Result<()> {
        let given: BTreeSet<&str> = given.iter().copied().collect();
        for name in self.outputs.parameters.keys() {
            ensure!(
                given.contains(name.as_str()),
                "the pipeline wants an output parameter {name:?} of {command}, which gives {}: correct the component",
                if given.is_empty() {
                    "none".to_owned()
                } else {
                    given.iter().copied().collect::<Vec<_>>().join(", ")
                }
            );
        }
        Ok(())
    }

    /// Writes what the command came to: the parameters that the pipeline asks for, and every artifact under the
    /// address that it was given.
    ///
    /// # Errors
    /// When a value is one that Pipelines would refuse, one is missing, or the file cannot be written.
    pub fn write(&self, outcome: &Outcome) -> Result<()> {
        let output = self.output(outcome)?;
        files::write(&self.outputs.output_file, &serde_json::to_vec(&output)?)
    }

    /// The content of the file.
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
    /// The artifact with what is known about it.
    fn done(&self, outcome: &Outcome) -> Value {
        let metadata = match self.kind.schema_title.as_str() {
            "system.Metrics" => Value::Object(outcome.metrics.clone()),
            "system.ClassificationMetrics" => match &outcome.confusion {
                Some(confusion) => json!({ "confusionMatrix": matrix(confusion) }),
                None => json!({}),
            },
            // Shown as they are: their files say it all.
            "system.HTML" | "system.Markdown" => json!({}),
            _ => Value::Object(outcome.facts.clone()),
        };
        // The name is the one that Pipelines keeps the artifact under; where it gave none, it makes one.
        if self.name.is_empty() {
            json!({ "uri": self.uri, "metadata": metadata })
        } else {
            json!({ "name": self.name, "uri": self.uri, "metadata": metadata })
        }
    }
}

/// A confusion as Pipelines shows one: a row for each label.
fn matrix(confusion: &Array2<u32>) -> Value {
    let classes: Vec<Value> =
        (0..confusion.ncols()).map(|digit| json!({ "displayName": digit.to_string() })).collect();
    let rows: Vec<Value> = confusion.rows().into_iter().map(|row| json!({ "row": row.to_vec() })).collect();
    json!({ "annotationSpecs": classes, "rows": rows })
}
