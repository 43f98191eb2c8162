//! One version of a model, loaded and warm.

use std::sync::Arc;

use compact_str::CompactString;
use oip::{ModelConfiguration, ModelMetadata, TensorMetadata};

use crate::{
    batcher::Batcher,
    model::TensorSpec,
    request::{preprocess::Pictures, validate::Rules},
    telemetry::{ModelMetrics, ModelPredictions},
};

/// What `platform` says in the metadata: Triton's name for ONNX models on ONNX Runtime.
pub(super) const PLATFORM: &str = "onnxruntime_onnx";

/// One version of a model, loaded and warm.
#[derive(Debug)]
pub struct ServedModel {
    /// Its name.
    pub name: CompactString,
    /// Its version.
    pub version: CompactString,
    /// How its requests are checked.
    pub rules: Rules,
    /// Names of its classes, by index.
    pub labels: Vec<String>,
    /// What `null` means as an element in JSON.
    pub nulls: oip::Nulls,
    /// How pictures become its input, if it takes pictures.
    pub pictures: Option<Pictures>,
    /// What `/v2/models/{m}/config` shows.
    pub configuration: ModelConfiguration,
    /// Its metrics.
    pub metrics: Arc<ModelMetrics>,
    /// The output that has the scores of its classes, and the metrics of what it predicts.
    pub predictions: Option<(usize, ModelPredictions)>,
    /// Where its requests wait and run.
    pub batcher: Batcher,
}

impl ServedModel {
    /// Returns how many of its runs do not stop, if they are too many for it to be ready.
    pub fn stuck(&self) -> Option<usize> {
        self.batcher.stuck()
    }

    /// Returns what the index says about a model that is ready: why its requests are not joined, or nothing if they are.
    pub fn remark(&self) -> String {
        let batching = &self.rules.batching;
        if batching.axes().is_some() { String::new() } else { format!("batching {batching}") }
    }

    /// Returns the number of requests that wait for it now.
    pub fn pending(&self) -> usize {
        self.batcher.waiting()
    }

    /// Returns the number of rows that wait for it now.
    pub fn pending_rows(&self) -> usize {
        self.batcher.queue_rows()
    }

    /// Returns the model's metadata. `versions` are those that are ready.
    pub fn metadata(&self, versions: Vec<String>) -> ModelMetadata {
        let side = |specs: &[TensorSpec]| {
            let tensor = |spec: &TensorSpec| TensorMetadata {
                name: spec.name.to_string(),
                datatype: spec.datatype,
                shape: spec.shape(),
                optional: spec.optional,
            };
            specs.iter().map(tensor).collect()
        };
        ModelMetadata {
            name: self.name.to_string(),
            versions,
            platform: PLATFORM.to_owned(),
            inputs: side(&self.rules.signature.inputs),
            outputs: side(&self.rules.signature.outputs),
        }
    }
}
