//! Every number of the recipe, with what it is for.

use serde::{Deserialize, Serialize};

/// What turns gradients into steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Optimizer {
    /// Steps scaled by running means of the gradient and of its square.
    #[default]
    AdamW,
    /// Steps along a running sum of the gradients (Nesterov's momentum).
    Sgd,
}

impl std::fmt::Display for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
        })
    }
}

impl Optimizer {
    /// Highest learning rate and decay of the weights that it learns well with.
    pub fn defaults(self) -> (f32, f32) {
        match self {
            Self::AdamW => (4e-3, 0.02),
            // The usual decay is 0.0005 inside the gradient, where momentum makes ten times as much of it.
            Self::Sgd => (0.1, 5e-3),
        }
    }
}

/// How a network is trained. The defaults are what the shipped model was trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Passes over the training pictures.
    pub epochs: usize,
    /// Key of every random draw.
    pub seed: u64,
    /// Training pictures set aside to choose the model by.
    pub holdout: usize,
    /// Drawn digits for each picture of MNIST.
    pub drawings: f32,
    /// Pictures of MNIST scanned again for each picture of MNIST.
    pub scans: f32,
    /// Drawings that are no digit, whose target is to be unsure, for each picture of MNIST.
    pub others: f32,
    /// Pictures per step of the optimiser.
    pub batch: usize,
    /// Pictures that share batch norm statistics; divides `batch`, whose chunks run on different threads.
    pub chunk: usize,
    /// What turns gradients into steps.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Highest learning rate.
    pub peak_learning_rate: f32,
    /// Share of all steps in which the learning rate rises to its peak; then it falls to 0 along a cosine.
    pub warm_up: f32,
    /// Decoupled decay of the weights (not of shifts and biases).
    pub weight_decay: f32,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f32,
    /// Share that the averaged parameters keep of themselves at each step.
    pub averaging: f32,
    /// Undistorted training pictures that measure the batch norms' statistics for the folded network.
    pub statistics_pictures: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        let (peak_learning_rate, weight_decay) = Optimizer::AdamW.defaults();
        Self {
            epochs: 30,
            seed: 1,
            holdout: 5_000,
            drawings: 0.33,
            scans: 0.09,
            others: 0.12,
            batch: 128,
            chunk: 32,
            optimizer: Optimizer::AdamW,
            peak_learning_rate,
            warm_up: 0.15,
            weight_decay,
            label_smoothing: 0.1,
            averaging: 0.998,
            statistics_pictures: 6_400,
        }
    }
}

impl Recipe {
    /// Pictures of MNIST and additions to them that an epoch is of, where it learns from so many of MNIST.
    pub fn pictures(&self, of_mnist: usize) -> usize {
        let [drawings, scans, others] =
            [self.drawings, self.scans, self.others].map(|share| Self::additions(share, of_mnist));
        of_mnist + drawings + scans + others
    }

    /// Pictures of one kind that are added to so many of MNIST.
    pub fn additions(share: f32, of_mnist: usize) -> usize {
        (share * of_mnist as f32) as usize
    }

    /// The learning rate of `step` out of `steps`.
    pub fn learning_rate(&self, step: usize, steps: usize) -> f32 {
        let rising = self.warm_up * steps as f32;
        let step = step as f32 + 1.0;
        if step < rising {
            return self.peak_learning_rate * step / rising;
        }
        let progress = (step - rising) / (steps as f32 - rising);
        self.peak_learning_rate * 0.5 * (1.0 + (std::f32::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_to_its_peak_and_falls_to_nothing() {
        let recipe = Recipe { peak_learning_rate: 1.0, warm_up: 0.1, ..Recipe::default() };
        let rates: Vec<f32> = (0..1000).map(|step| recipe.learning_rate(step, 1000)).collect();
        assert!((rates[49] - 0.5).abs() < 0.01);
        assert!((rates[99] - 1.0).abs() < 0.01);
        assert!((rates[549] - 0.5).abs() < 0.01);
        assert!(rates[999].abs() < 1e-6);
        assert!(rates[..99].is_sorted() && rates[99..].is_sorted_by(|a, b| a >= b));
    }
}
