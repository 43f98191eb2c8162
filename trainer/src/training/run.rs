//! A whole training: hold out, learn, fold, choose.

use std::ops::ControlFlow;

use rand::seq::SliceRandom;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::epoch::Learner;
use super::recipe::Recipe;
use super::{statistics, temperature};
use crate::data::Pictures;
use crate::data::additions::{self, Part};
use crate::evaluate::{self, Answers};
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
    /// Stopped by the observer, with nothing to keep.
    #[error("training was stopped before its first epoch was over: there are no weights to keep")]
    Stopped,
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
    /// Every epoch, in order; fewer than the recipe has where the training was stopped.
    pub epochs: Vec<EpochRecord>,
}

/// Is told how a training goes.
pub trait Observer {
    /// So many of the epoch's pictures are done. The training stops where the answer is to break off.
    fn pictures(&mut self, done: usize) -> ControlFlow<()>;
    /// An epoch is over.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Trains the digits network on `pictures`, on the threads of the current rayon pool.
///
/// It learns from these pictures and from what [`additions`](mod@crate::data::additions) makes beside them. A part
/// of the pictures is held out, with drawings of its own; after every epoch the averaged network is folded and
/// measured on both, and the one that reads most of them right is kept, of equals the latest. (Not the one with the lowest loss: with
/// smoothed labels the network learns not to be certain, and its loss against the plain labels soon rises.) Then
/// its temperature is fitted to what was held out.
///
/// Where `observer` stops it, what was left of the epoch is given up, and the best of the epochs before it is
/// the result.
///
/// # Errors
/// When the recipe asks for no epoch, or leaves less than a batch to learn from, or the training was stopped in
/// its first epoch.
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
    let (unseen, no_digits) = additions(pictures, &holdout, recipe, Part::Choosing);
    let (digits, others) = additions(pictures, &order, recipe, Part::Learning);
    order.extend(pictures.len() as u32..(pictures.len() + digits.len() + others.len()) as u32);
    let pictures = &Pictures::joined(&[pictures, &digits, &others]);
    let architecture = Architecture::digits();
    let parameters = initial_parameters(&architecture, recipe.seed);
    let mut learner = Learner::new(Network::new(architecture, parameters), recipe);
    let mut epochs = Vec::with_capacity(recipe.epochs);
    let mut best: Option<(usize, usize, Folded, f32)> = None;
    for epoch in 0..recipe.epochs {
        let progress = &mut |done| observer.pictures(done);
        let Some(outcome) = learner.epoch(pictures, &mut order, recipe, epoch, progress) else { break };
        let average = learner.average.parameters().to_vec();
        let averaged = Network::new(learner.network.architecture().clone(), average);
        let folded = statistics::fold(&averaged, pictures, &order, recipe);
        let answers = evaluate::answers(&folded, pictures, &holdout);
        let drawn = answers_to(&folded, &unseen);
        let measured = !answers.is_empty();
        let record = EpochRecord {
            epoch: epoch + 1,
            learning_rate: outcome.learning_rate,
            train_loss: outcome.loss,
            train_accuracy: outcome.accuracy,
            holdout_loss: measured.then(|| answers.mean_loss()),
            holdout_accuracy: measured.then(|| answers.accuracy()),
            drawings_accuracy: (!drawn.is_empty()).then(|| drawn.accuracy()),
            train_seconds: outcome.seconds,
        };
        observer.epoch(&record);
        let right = answers.len() + drawn.len() - answers.errors() - drawn.errors();
        if best.as_ref().is_none_or(|(most, ..)| right >= *most) {
            let unsure = answers_to(&folded, &no_digits);
            let temperature = temperature::fit(&[&answers, &drawn, &unsure]);
            best = Some((right, record.epoch, folded, temperature));
        }
        epochs.push(record);
    }
    let (_, chosen_epoch, mut folded, temperature) = best.ok_or(RecipeError::Stopped)?;
    temperature::apply(&mut folded, temperature);
    Ok(Trained { folded, chosen_epoch, temperature, epochs })
}

/// Digits to go with the pictures that `indices` names, drawn and scanned again; and drawings that are none.
fn additions(mnist: &Pictures, indices: &[u32], recipe: &Recipe, part: Part) -> (Pictures, Pictures) {
    let count = |share: f32| Recipe::additions(share, indices.len());
    let drawn = additions::drawings(count(recipe.drawings), recipe.seed, part);
    let scanned = additions::rescans(count(recipe.scans), mnist, indices, recipe.seed, part);
    let others = additions::others(count(recipe.others), recipe.seed, part);
    (Pictures::joined(&[&drawn, &scanned]), others)
}

/// The answers to all pictures of a set.
fn answers_to(folded: &Folded, pictures: &Pictures) -> Answers {
    let every: Vec<u32> = (0..pictures.len() as u32).collect();
    evaluate::answers(folded, pictures, &every)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synth;

    /// Stops a training after a number of batches.
    struct Patience {
        batches: usize,
        epochs: usize,
    }

    impl Observer for Patience {
        fn pictures(&mut self, _: usize) -> ControlFlow<()> {
            self.batches -= 1;
            if self.batches == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn epoch(&mut self, _: &EpochRecord) {
            self.epochs += 1;
        }
    }

    #[test]
    fn a_stopped_training_leaves_what_its_whole_epochs_came_to() {
        let pictures = synth::draw(300, 1, 1).train;
        let alone = Recipe { drawings: 0.0, scans: 0.0, others: 0.0, ..Recipe::default() };
        let recipe = Recipe { epochs: 4, holdout: 30, statistics_pictures: 128, ..alone };
        // Two batches an epoch: the fifth is the first of the third epoch.
        let mut patience = Patience { batches: 5, epochs: 0 };
        let stopped = train(&pictures, &recipe, &mut patience).unwrap();
        assert_eq!((stopped.epochs.len(), patience.epochs), (2, 2));
        assert!((1..=2).contains(&stopped.chosen_epoch));
        let mut patience = Patience { batches: 2, epochs: 0 };
        assert_eq!(train(&pictures, &recipe, &mut patience), Err(RecipeError::Stopped));
    }
}
