//! The file between training and export: the folded network's tensors and how they came about.

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

/// Key of the history in the file's metadata.
const HISTORY: &str = "history";

/// How a network came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Version of the trainer.
    pub trainer_version: String,
    /// SHA-256 of the dataset it was trained on.
    pub dataset_sha256: String,
    /// The recipe it was trained by.
    pub recipe: Recipe,
    /// The epoch after which it was taken.
    pub chosen_epoch: usize,
    /// What its logits were divided by, after training, so that it is as sure as it is right.
    pub temperature: f32,
    /// Threads that worked on it.
    pub threads: usize,
    /// Every epoch.
    pub epochs: Vec<EpochRecord>,
}

/// A trained network with its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The network.
    pub folded: Folded,
    /// How it came about.
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
        for (name, shape, start) in places(&self.folded.architecture) {
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
    /// When it cannot be read or is no checkpoint of this trainer.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = files::read_made_by("train", path)?;
        let decode = || -> Result<Self> {
            let (_, header) = SafeTensors::read_metadata(&bytes)?;
            let history = header.metadata().as_ref().and_then(|metadata| metadata.get(HISTORY));
            let history = serde_json::from_str(history.context("it has no training history")?)?;
            let tensors = SafeTensors::deserialize(&bytes)?;
            let architecture = Architecture::digits();
            let mut parameters = vec![0.0; architecture.parameters()];
            for (name, shape, start) in places(&architecture) {
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
            format!("{} is not what `decima-trainer train` writes: train again", path.display())
        })
    }
}

/// Name, shape and first parameter of each tensor.
fn places(architecture: &Architecture) -> Vec<(String, Vec<usize>, usize)> {
    let mut places = Vec::new();
    for (index, block) in architecture.blocks.iter().enumerate() {
        let (inputs, outputs) = (block.conv.inputs, block.conv.outputs);
        let weights = vec![3, 3, inputs, outputs];
        places.push((format!("conv{}.weights", index + 1), weights, block.weights.start));
        places.push((format!("conv{}.bias", index + 1), vec![outputs], block.beta.start));
    }
    let head = architecture.head;
    let weights = vec![head.inputs, head.outputs];
    places.push(("head.weights".to_owned(), weights, architecture.head_weights.start));
    places.push(("head.bias".to_owned(), vec![head.outputs], architecture.head_bias.start));
    places
}
