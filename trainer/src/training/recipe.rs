//! The recipe: all hyperparameters of a training.

use serde::{Deserialize, Serialize};

/// The optimisers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Optimizer {
    /// Steps scaled by running means of the gradient and of its square.
    #[default]
    AdamW,
    /// Gradient descent with Nesterov momentum.
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
    /// The optimiser's default peak learning rate and weight decay.
    pub fn defaults(self) -> (f32, f32) {
        match self {
            Self::AdamW => (4e-3, 0.02),
            // The usual weight decay of 0.0005 is part of the gradient, where momentum multiplies it by ten.
            Self::Sgd => (0.1, 5e-3),
        }
    }
}

/// The hyperparameters of a training. The shipped model was trained with the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Number of passes over the training pictures.
    pub epochs: usize,
    /// Random seed.
    pub seed: u64,
    /// Number of training pictures that are held out to choose the best epoch.
    pub holdout: usize,
    /// Number of drawn digits for each picture of MNIST.
    pub drawings: f32,
    /// Number of rescanned pictures for each picture of MNIST.
    pub scans: f32,
    /// Number of drawings that are not digits, for each picture of MNIST. Their target is the uniform distribution.
    pub others: f32,
    /// Number of pictures in a batch: in one step of the optimiser.
    pub batch: usize,
    /// Number of pictures that share batch norm statistics. It divides `batch`; the chunks of a batch run on different
    /// threads.
    pub chunk: usize,
    /// The optimiser.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Highest learning rate.
    pub peak_learning_rate: f32,
    /// Share of the steps in which the learning rate rises to its peak. After them it falls to 0 along a cosine.
    pub warm_up: f32,
    /// Decoupled weight decay. It applies to weights, not to shifts and biases.
    pub weight_decay: f32,
    /// Share of the target's mass that is spread over all classes.
    pub label_smoothing: f32,
    /// Decay rate of the running average of the parameters.
    pub averaging: f32,
    /// Number of undistorted training pictures from which the batch norm statistics of the folded network are computed.
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
    /// Number of pictures in an epoch with `of_mnist` pictures of MNIST, additions included.
    pub fn pictures(&self, of_mnist: usize) -> usize {
        let [drawings, scans, others] =
            [self.drawings, self.scans, self.others].map(|share| Self::additions(share, of_mnist));
        of_mnist + drawings + scans + others
    }

    /// Number of pictures of one kind that are added to `of_mnist` pictures of MNIST.
    pub fn additions(share: f32, of_mnist: usize) -> usize {
        (share * of_mnist as f32) as usize
    }

    /// The learning rate of step `step` of `steps`.
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
