//! One epoch: a pass over the training pictures in batches, each cut into chunks for the threads.

use std::ops::ControlFlow;
use std::time::Instant;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::optimizer::{Average, OptimizerState};
use super::recipe::Recipe;
use crate::augment;
use crate::data::{NO_DIGIT, PIXELS, Pictures};
use crate::nn::folded::normalise;
use crate::nn::network::{Network, Workspace};
use crate::random::{Purpose, generator};

/// The state of a training: the network, the optimiser, and their buffers.
#[derive(Debug)]
pub struct Learner {
    /// The network.
    pub network: Network,
    /// The running average of the network's parameters.
    pub average: Average,
    optimizer: OptimizerState,
    /// A workspace for each chunk of a batch.
    workspaces: Vec<Workspace>,
    gradient: Vec<f32>,
    steps_done: usize,
}

/// The results of one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochOutcome {
    /// Mean loss over the distorted pictures, with smoothed labels.
    pub loss: f64,
    /// Share of the distorted digits whose most probable class was their label.
    pub accuracy: f64,
    /// Learning rate of the last step.
    pub learning_rate: f32,
    /// Duration of the epoch in seconds.
    pub seconds: f64,
}

impl Learner {
    /// Prepares to train `network`.
    pub fn new(network: Network, recipe: &Recipe) -> Self {
        let architecture = network.architecture().clone();
        let chunks = recipe.batch / recipe.chunk;
        Self {
            average: Average::new(network.parameters()),
            optimizer: OptimizerState::new(
                recipe.optimizer,
                architecture.parameters(),
                architecture.weight_ranges(),
            ),
            workspaces: (0..chunks).map(|_| Workspace::new(&architecture, recipe.chunk)).collect(),
            gradient: vec![0.0; architecture.parameters()],
            steps_done: 0,
            network,
        }
    }

    /// Shuffles `order`, the indices of the training pictures, and trains on them in whole batches. The remainder,
    /// which differs from epoch to epoch, is not used.
    ///
    /// `progress` is called after each batch with the number of pictures done. If it returns `Break`, the epoch ends
    /// there, and the result is `None`.
    pub fn epoch(
        &mut self,
        pictures: &Pictures,
        order: &mut [u32],
        recipe: &Recipe,
        epoch: usize,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Option<EpochOutcome> {
        let start = Instant::now();
        order.shuffle(&mut generator(recipe.seed, Purpose::Order, epoch as u64, 0));
        let batches = order.len() / recipe.batch;
        let (mut loss, mut correct, mut digits, mut learning_rate) = (0.0, 0, 0, 0.0);
        for (done, batch) in order.chunks_exact(recipe.batch).enumerate() {
            let (batch_loss, batch_correct) = self.gradient_of(pictures, batch, recipe, epoch);
            loss += f64::from(batch_loss);
            correct += batch_correct;
            digits += batch.iter().filter(|&&index| pictures.labels[index as usize] != NO_DIGIT).count();
            learning_rate = recipe.learning_rate(self.steps_done, recipe.epochs * batches);
            self.step(learning_rate, recipe);
            if progress((done + 1) * recipe.batch).is_break() {
                return None;
            }
        }
        let seen = (batches * recipe.batch) as f64;
        let seconds = start.elapsed().as_secs_f64();
        let accuracy = correct as f64 / digits.max(1) as f64;
        Some(EpochOutcome { loss: loss / seen, accuracy, learning_rate, seconds })
    }

    /// Leaves the mean gradient of a batch in `self.gradient`. Returns its summed loss and its number of correct
    /// answers.
    fn gradient_of(
        &mut self,
        pictures: &Pictures,
        batch: &[u32],
        recipe: &Recipe,
        epoch: usize,
    ) -> (f32, usize) {
        let network = &self.network;
        let chunks = self.workspaces.par_iter_mut().zip(batch.par_chunks_exact(recipe.chunk));
        let outcomes: Vec<(f32, usize)> = chunks
            .map(|(workspace, chunk)| {
                fill_distorted(workspace, pictures, chunk, recipe.seed, epoch);
                network.learn(workspace, recipe.label_smoothing)
            })
            .collect();
        // Always in the order of the chunks, since the rounding of a sum depends on the order of its terms.
        self.gradient.fill(0.0);
        let share = 1.0 / recipe.batch as f32;
        for workspace in &self.workspaces {
            for (sum, gradient) in self.gradient.iter_mut().zip(&workspace.gradient) {
                *sum += gradient * share;
            }
        }
        outcomes.into_iter().fold((0.0, 0), |sum, chunk| (sum.0 + chunk.0, sum.1 + chunk.1))
    }

    fn step(&mut self, rate: f32, recipe: &Recipe) {
        let Self { network, optimizer, gradient, .. } = self;
        network.update(|parameters| optimizer.step(parameters, gradient, rate, recipe.weight_decay));
        self.average.update(self.network.parameters(), recipe);
        self.steps_done += 1;
    }
}

fn fill_distorted(workspace: &mut Workspace, pictures: &Pictures, chunk: &[u32], seed: u64, epoch: usize) {
    let targets = workspace.pictures.chunks_exact_mut(PIXELS).zip(&mut workspace.labels);
    for (&index, (out, label)) in chunk.iter().zip(targets) {
        let mut generator = generator(seed, Purpose::Augmentation, epoch as u64, u64::from(index));
        augment::distort(pictures.row_major(index as usize), &mut generator, out);
        normalise(out);
        *label = pictures.labels[index as usize];
    }
}
