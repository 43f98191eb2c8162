//! Random numbers and choices for drawings.

use rand::RngExt;
use rand_distr::StandardNormal;

use crate::random::Generator;

/// Largest distance of a normal draw from its mean, in standard deviations. Outliers would make unreadable drawings.
const FURTHEST: f32 = 2.2;

/// Draws numbers, points and choices from one generator.
#[derive(Debug)]
pub struct Dice<'a>(&'a mut Generator);

impl<'a> Dice<'a> {
    /// Takes all numbers from `generator`.
    pub fn new(generator: &'a mut Generator) -> Self {
        Self(generator)
    }

    /// A number drawn uniformly between two numbers.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random_range(0.0..=1.0)
    }

    /// A normally distributed number around `mean`, at most 2.2 standard deviations from it.
    pub fn around(&mut self, mean: f32, deviation: f32) -> f32 {
        let draw: f32 = self.0.sample(StandardNormal);
        mean + deviation * draw.clamp(-FURTHEST, FURTHEST)
    }

    /// A point around another, each coordinate drawn as by [`Dice::around`].
    pub fn near(&mut self, x: f32, y: f32, deviation: f32) -> (f32, f32) {
        (self.around(x, deviation), self.around(y, deviation))
    }

    /// True with the given probability.
    pub fn chance(&mut self, share: f32) -> bool {
        self.0.random_range(0.0..1.0) < share
    }

    /// A whole number from 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// The index of one of the weights, with a probability proportional to that weight.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f32> + Clone) -> usize {
        let mut left = self.between(0.0, weights.clone().sum());
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            last = index;
            if left < weight {
                break;
            }
            left -= weight;
        }
        last
    }
}
