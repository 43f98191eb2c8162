//! The file between training and export: the folded network's tensors and the history of its training.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::nn::architecture::Architecture;
use crate::nn::folded::Folded;
use crate::training::recipe::Recipe;
use crate::training::run::EpochRecord;

/// Key of the training history in the metadata of the safetensors file.
const HISTORY: &str = "history";

/// How a network was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Version of the trainer.
    pub trainer_version: String,
    /// SHA-256 of the dataset that it was trained on.
    pub dataset_sha256: String,
    /// The hyperparameters.
    pub recipe: Recipe,
    /// The epoch whose weights were kept, from 1.
    pub chosen_epoch: usize,
    /// The temperature that divides the logits. It is fitted after training, so that the probabilities are calibrated.
    pub temperature: f32,
    /// Number of threads that trained it.
    pub threads: usize,
    /// The measurements of each epoch.
    pub epochs: Vec<EpochRecord>,
}

/// A trained network and the history of its training.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The network, with batch norm folded into the weights.
    pub folded: Folded,
    /// How it was trained.
    pub history: History,
}

impl Checkpoint {
    /// Writes the checkpoint as a safetensors file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self.folded.parameters.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut tensors = Vec::new();
        for (name, shape, start) in tensor_layout(&self.folded.architecture) {
            let length = 4 * shape.iter().product::<usize>();
            let data = &bytes[4 * start..][..length];
            tensors.push((name, TensorView::new(Dtype::F32, shape, data).context("a tensor fits its data")?));
        }
        let history = serde_json::to_string(&self.history)?;
        let metadata = HashMap::from([(HISTORY.to_owned(), history)]);
        files::write(path, &safetensors::serialize(tensors, Some(metadata))?)
    }

    /// Reads a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or is not a checkpoint of this trainer.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = files::read_made_by("train", path)?;
        let decode = || -> Result<Self> {
            let (_, header) = SafeTensors::read_metadata(&bytes)?;
            let history = header.metadata().as_ref().and_then(|metadata| metadata.get(HISTORY));
            let history = serde_json::from_str(history.context("it has no training history")?)?;
            let tensors = SafeTensors::deserialize(&bytes)?;
            let architecture = Architecture::digits();
            let mut parameters = vec![0.0; architecture.parameters()];
            for (name, shape, start) in tensor_layout(&architecture) {
                let tensor = tensors.tensor(&name)?;
                if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                    bail!("tensor {name} is {:?} {:?}, not F32 {shape:?}", tensor.dtype(), tensor.shape());
                }
                let (values, _) = tensor.data().as_chunks::<4>();
                for (parameter, bytes) in parameters[start..].iter_mut().zip(values) {
                    *parameter = f32::from_le_bytes(*bytes);
                }
            }
            ensure!(parameters.iter().all(|value| value.is_finite()), "it has weights that are not finite");
            Ok(Self { folded: Folded { architecture, parameters }, history })
        };
        decode().with_context(|| {
            format!("{} is not a file that `decima-trainer train` wrote: train again", path.display())
        })
    }
}

/// Name and shape of each tensor, and the index of its first value among the network's parameters.
fn tensor_layout(architecture: &Architecture) -> Vec<(String, Vec<usize>, usize)> {
    let mut layout = Vec::new();
    for (index, block) in architecture.blocks.iter().enumerate() {
        let (inputs, outputs) = (block.conv.inputs, block.conv.outputs);
        let weights = vec![3, 3, inputs, outputs];
        layout.push((format!("conv{}.weights", index + 1), weights, block.weights.start));
        layout.push((format!("conv{}.bias", index + 1), vec![outputs], block.beta.start));
    }
    let head = architecture.head;
    let weights = vec![head.inputs, head.outputs];
    layout.push(("head.weights".to_owned(), weights, architecture.head_weights.start));
    layout.push(("head.bias".to_owned(), vec![head.outputs], architecture.head_bias.start));
    layout
}
