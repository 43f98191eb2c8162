//! A whole training: hold out, learn, fold, choose.

use rand::seq::SliceRandom;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::epoch::Learner;
use super::recipe::Recipe;
use super::{statistics, temperature};
use crate::data::additions::{self, Part};
use crate::data::{NO_DIGIT, Pictures};
use crate::evaluate;
use crate::nn::architecture::Architecture;
use crate::nn::folded::Folded;
use crate::nn::network::Network;
use crate::random::{Purpose, generator};

/// A recipe that cannot be followed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecipeError {
    /// Nothing to do.
    #[error("training needs at least one epoch: give --epochs 1 or more")]
    NoEpochs,
    /// Too few pictures.
    #[error(
        "{pictures} training pictures, {holdout} of them held out, leave less than one batch of {batch}: \
         bring more pictures or hold out fewer with --holdout"
    )]
    TooFew {
        /// Training pictures there are.
        pictures: usize,
        /// How many are held out.
        holdout: usize,
        /// How many a batch takes.
        batch: usize,
    },
}

/// One epoch's line in the curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f32,
    /// Mean loss on the distorted training pictures, labels smoothed.
    pub train_loss: f64,
    /// Share of the distorted training pictures that were answered right while learning.
    pub train_accuracy: f64,
    /// Mean cross-entropy on the held-out pictures, of the averaged and folded network.
    pub holdout_loss: Option<f64>,
    /// Share of the held-out pictures that it answers right.
    pub holdout_accuracy: Option<f64>,
    /// Share of the drawings made for choosing that it answers right.
    pub drawings_accuracy: Option<f64>,
    /// Seconds spent learning.
    pub train_seconds: f64,
}

/// What a training leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The chosen network.
    pub folded: Folded,
    /// The epoch after which it was taken.
    pub chosen_epoch: usize,
    /// What its logits were divided by.
    pub temperature: f32,
    /// Every epoch, in order.
    pub epochs: Vec<EpochRecord>,
}

/// Is told how a training goes.
pub trait Observer {
    /// So many of the epoch's pictures are done.
    fn pictures(&mut self, done: usize);
    /// An epoch is over.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Trains the digits network on `pictures`, on the threads of the current rayon pool.
///
/// It learns from these pictures and from what [`additions`] makes beside them. A part of the pictures is held
/// out, with drawings of its own; after every epoch the averaged network is folded and measured on both, and the
/// one with the best mean accuracy is kept, of equals the latest. Then its temperature is fitted. (Not the one with the lowest loss: with
/// smoothed labels the network learns not to be certain, and its loss against the plain labels soon rises.)
///
/// # Errors
/// When the recipe asks for no epoch, or leaves less than a batch to learn from.
pub fn train(
    pictures: &Pictures,
    recipe: &Recipe,
    observer: &mut dyn Observer,
) -> Result<Trained, RecipeError> {
    if recipe.epochs == 0 {
        return Err(RecipeError::NoEpochs);
    }
    if pictures.len() < recipe.holdout + recipe.batch {
        let (holdout, batch) = (recipe.holdout, recipe.batch);
        return Err(RecipeError::TooFew { pictures: pictures.len(), holdout, batch });
    }
    let (holdout, mut order) = split(pictures.len(), recipe);
    let choosing = additions(pictures, &holdout, recipe, Part::Choosing);
    let learning = additions(pictures, &order, recipe, Part::Learning);
    order.extend(pictures.len() as u32..(pictures.len() + learning.len()) as u32);
    let mut all = pictures.clone();
    all.append(&learning);
    let pictures = &all;
    let architecture = Architecture::digits();
    let parameters = initial_parameters(&architecture, recipe.seed);
    let mut learner = Learner::new(Network::new(architecture, parameters), recipe);
    let mut epochs = Vec::with_capacity(recipe.epochs);
    let mut best: Option<(f64, usize, Folded, f32)> = None;
    for epoch in 0..recipe.epochs {
        let outcome = learner.epoch(pictures, &mut order, recipe, epoch, &mut |done| observer.pictures(done));
        let average = learner.average.parameters().to_vec();
        let averaged = Network::new(learner.network.architecture().clone(), average);
        let folded = statistics::fold(&averaged, pictures, &order, recipe);
        let answers = evaluate::answers(&folded, pictures, &holdout);
        let added = evaluate::answers(&folded, &choosing, &every(&choosing));
        let drawn: Vec<_> = added.iter().filter(|answer| answer.label != NO_DIGIT).copied().collect();
        let measured = !answers.is_empty();
        let record = EpochRecord {
            epoch: epoch + 1,
            learning_rate: outcome.learning_rate,
            train_loss: outcome.loss,
            train_accuracy: outcome.accuracy,
            holdout_loss: measured.then(|| evaluate::mean_loss(&answers)),
            holdout_accuracy: measured.then(|| evaluate::accuracy(&answers)),
            drawings_accuracy: (!drawn.is_empty()).then(|| evaluate::accuracy(&drawn)),
            train_seconds: outcome.seconds,
        };
        observer.epoch(&record);
        let accuracy = record.holdout_accuracy.unwrap_or(0.0) + record.drawings_accuracy.unwrap_or(0.0);
        if best.as_ref().is_none_or(|(highest, ..)| accuracy >= *highest) {
            let temperature = temperature::fit(&[answers, added].concat());
            best = Some((accuracy, record.epoch, folded, temperature));
        }
        epochs.push(record);
    }
    let (_, chosen_epoch, mut folded, temperature) = best.ok_or(RecipeError::NoEpochs)?;
    temperature::apply(&mut folded, temperature);
    Ok(Trained { folded, chosen_epoch, temperature, epochs })
}

/// Drawings, scans and others to go with the pictures that `indices` names.
fn additions(mnist: &Pictures, indices: &[u32], recipe: &Recipe, part: Part) -> Pictures {
    let count = |share: f32| (share * indices.len() as f32) as usize;
    let mut all = additions::drawings(count(recipe.drawings), recipe.seed, part);
    all.append(&additions::rescans(count(recipe.scans), mnist, indices, recipe.seed, part));
    all.append(&additions::others(count(recipe.others), recipe.seed, part));
    all
}

fn every(pictures: &Pictures) -> Vec<u32> {
    (0..pictures.len() as u32).collect()
}

/// Which pictures are held out and which are learnt from.
fn split(pictures: usize, recipe: &Recipe) -> (Vec<u32>, Vec<u32>) {
    let mut holdout: Vec<u32> = (0..pictures as u32).collect();
    holdout.shuffle(&mut generator(recipe.seed, Purpose::Holdout, 0, 0));
    let order = holdout.split_off(recipe.holdout);
    (holdout, order)
}

/// Weights drawn so that signals keep their size from layer to layer through rectifiers; all else is 0.
fn initial_parameters(architecture: &Architecture, seed: u64) -> Vec<f32> {
    let mut parameters = vec![0.0; architecture.parameters()];
    let mut draws = generator(seed, Purpose::Weights, 0, 0);
    let blocks = architecture.blocks.iter().map(|block| (block.weights.clone(), block.conv.outputs));
    for (range, outputs) in blocks.chain([(architecture.head_weights.clone(), architecture.head.outputs)]) {
        let fan_in = (range.len() / outputs) as f32;
        let spread = Normal::new(0.0, (2.0 / fan_in).sqrt()).expect("a finite spread above 0");
        for weight in &mut parameters[range] {
            *weight = spread.sample(&mut draws);
        }
    }
    parameters
}
