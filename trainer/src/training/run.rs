//! A whole training: holds pictures out, trains the epochs, and chooses the best one.

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

/// Why a training gives no network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecipeError {
    /// The recipe has no epoch.
    #[error("training needs at least one epoch: give --epochs 1 or more")]
    NoEpochs,
    /// The observer stopped the training in its first epoch.
    #[error("training was stopped before its first epoch was over: there are no weights to keep")]
    Stopped,
    /// There are too few training pictures.
    #[error(
        "{pictures} training pictures, {holdout} of them held out, leave less than one batch of {batch}: \
         bring more pictures or hold out fewer with --holdout"
    )]
    TooFew {
        /// Number of training pictures.
        pictures: usize,
        /// Number of held-out pictures.
        holdout: usize,
        /// Number of pictures in a batch.
        batch: usize,
    },
}

/// The measurements of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f32,
    /// Mean loss on the distorted training pictures, with smoothed labels.
    pub train_loss: f64,
    /// Accuracy on the distorted training pictures during training, 0 to 1.
    pub train_accuracy: f64,
    /// Mean cross-entropy of the averaged, folded network on the held-out pictures.
    pub holdout_loss: Option<f64>,
    /// Accuracy of the averaged, folded network on the held-out pictures, 0 to 1.
    pub holdout_accuracy: Option<f64>,
    /// Accuracy of the averaged, folded network on the drawings and scans for choosing the epoch, 0 to 1.
    pub drawings_accuracy: Option<f64>,
    /// Duration of the training, without the measurements, in seconds.
    pub train_seconds: f64,
}

/// The result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The network of the best epoch.
    pub folded: Folded,
    /// The best epoch, from 1.
    pub chosen_epoch: usize,
    /// The temperature that divides the network's logits.
    pub temperature: f32,
    /// The measurements of each epoch, in order. If the training was stopped, they are fewer than the recipe's epochs.
    pub epochs: Vec<EpochRecord>,
}

/// Receives the progress of a training, and may stop it.
pub trait Observer {
    /// Called after each batch with the number of the epoch's pictures that are done. `Break` stops the training.
    fn pictures(&mut self, done: usize) -> ControlFlow<()>;
    /// Called after each epoch.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Trains the digits network on `pictures`, on the threads of the current rayon pool.
///
/// It trains on these pictures and on those of [`additions`](mod@crate::data::additions). A part of the pictures is
/// held out, with drawings and scans of its own. After each epoch the averaged network is folded and measured on both.
/// The network with the most correct answers is kept; of equals, the latest. (Loss would be the wrong criterion: with
/// smoothed labels the network learns not to be overconfident, and its loss against the plain labels soon rises.) Last,
/// the temperature is fitted to the held-out pictures.
///
/// If `observer` stops the training, the current epoch is discarded, and the best of the epochs before it is the
/// result.
///
/// # Errors
/// When the recipe has no epoch or leaves less than a batch of training pictures, or the training was stopped in its
/// first epoch.
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

/// The pictures added to those of MNIST with the given indices: first drawn and rescanned digits, second drawings that
/// are not digits.
fn additions(mnist: &Pictures, indices: &[u32], recipe: &Recipe, part: Part) -> (Pictures, Pictures) {
    let count = |share: f32| Recipe::additions(share, indices.len());
    let drawn = additions::drawings(count(recipe.drawings), recipe.seed, part);
    let scanned = additions::rescans(count(recipe.scans), mnist, indices, recipe.seed, part);
    let others = additions::others(count(recipe.others), recipe.seed, part);
    (Pictures::joined(&[&drawn, &scanned]), others)
}

/// Runs the network on all pictures of a set.
fn answers_to(folded: &Folded, pictures: &Pictures) -> Answers {
    let every: Vec<u32> = (0..pictures.len() as u32).collect();
    evaluate::answers(folded, pictures, &every)
}

/// Chooses the held-out pictures at random. Returns the indices of the held-out pictures and those of the rest.
fn split(pictures: usize, recipe: &Recipe) -> (Vec<u32>, Vec<u32>) {
    let mut holdout: Vec<u32> = (0..pictures as u32).collect();
    holdout.shuffle(&mut generator(recipe.seed, Purpose::Holdout, 0, 0));
    let order = holdout.split_off(recipe.holdout);
    (holdout, order)
}

/// Initial parameters: weights drawn by He's method, which keeps the size of activations from layer to layer; shifts
/// and biases of 0.
fn initial_parameters(architecture: &Architecture, seed: u64) -> Vec<f32> {
    let mut parameters = vec![0.0; architecture.parameters()];
    let mut draws = generator(seed, Purpose::Weights, 0, 0);
    let blocks = architecture.blocks.iter().map(|block| (block.weights.clone(), block.conv.outputs));
    for (range, outputs) in blocks.chain([(architecture.head_weights.clone(), architecture.head.outputs)]) {
        let fan_in = (range.len() / outputs) as f32;
        let spread = Normal::new(0.0, (2.0 / fan_in).sqrt()).expect("a finite standard deviation above 0");
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

    /// An observer that stops a training after a number of batches.
    struct StopAfter {
        batches: usize,
        epochs: usize,
    }

    impl Observer for StopAfter {
        fn pictures(&mut self, _: usize) -> ControlFlow<()> {
            self.batches -= 1;
            if self.batches == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn epoch(&mut self, _: &EpochRecord) {
            self.epochs += 1;
        }
    }

    #[test]
    fn a_stopped_training_keeps_the_results_of_its_complete_epochs() {
        let pictures = synth::draw(300, 1, 1).train;
        let alone = Recipe { drawings: 0.0, scans: 0.0, others: 0.0, ..Recipe::default() };
        let recipe = Recipe { epochs: 4, holdout: 30, statistics_pictures: 128, ..alone };
        // An epoch has two batches: the fifth batch is the first of the third epoch.
        let mut observer = StopAfter { batches: 5, epochs: 0 };
        let stopped = train(&pictures, &recipe, &mut observer).unwrap();
        assert_eq!((stopped.epochs.len(), observer.epochs), (2, 2));
        assert!((1..=2).contains(&stopped.chosen_epoch));
        let mut observer = StopAfter { batches: 2, epochs: 0 };
        assert_eq!(train(&pictures, &recipe, &mut observer), Err(RecipeError::Stopped));
    }
}
