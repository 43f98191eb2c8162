//! The optimisers, `AdamW` and gradient descent with momentum, and the running average of the parameters. The average
//! is what the trainer evaluates and exports.

use std::ops::Range;

use super::recipe::{Optimizer, Recipe};

/// Decay rate of the running mean of the gradient (Adam's beta 1).
const MEAN_DECAY: f32 = 0.9;
/// Decay rate of the running mean of the squared gradient (Adam's beta 2). It is below the usual 0.999, because a run
/// has only some ten thousand steps, and the size of the gradient changes quickly in the first of them.
const SQUARE_DECAY: f32 = 0.99;
/// Added to the divisor, so that a parameter without gradient causes no division by zero.
const EPSILON: f32 = 1e-8;

/// `AdamW`: steps scaled by running means of the gradient and of its square, with decoupled weight decay.
#[derive(Debug, Clone)]
pub struct AdamW {
    mean: Vec<f32>,
    square: Vec<f32>,
    /// 1 for parameters with weight decay, 0 for the others.
    decays: Vec<f32>,
    steps: i32,
}

impl AdamW {
    /// Starts with a state of zeros for `parameters` parameters. Those in the ranges `decaying` have weight decay.
    pub fn new(parameters: usize, decaying: impl Iterator<Item = Range<usize>>) -> Self {
        let decays = decay_mask(parameters, decaying);
        Self { mean: vec![0.0; parameters], square: vec![0.0; parameters], decays, steps: 0 }
    }

    /// Moves `parameters` against `gradient`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32, weight_decay: f32) {
        self.steps += 1;
        let mean_scale = 1.0 / (1.0 - MEAN_DECAY.powi(self.steps));
        let square_scale = 1.0 / (1.0 - SQUARE_DECAY.powi(self.steps));
        let state = self.mean.iter_mut().zip(&mut self.square).zip(&self.decays);
        for ((parameter, &gradient), ((mean, square), decays)) in
            parameters.iter_mut().zip(gradient).zip(state)
        {
            *mean += (gradient - *mean) * (1.0 - MEAN_DECAY);
            *square += (gradient * gradient - *square) * (1.0 - SQUARE_DECAY);
            let direction = *mean * mean_scale / ((*square * square_scale).sqrt() + EPSILON);
            *parameter -= rate * (direction + weight_decay * decays * *parameter);
        }
    }
}

/// Momentum of gradient descent: the share of its velocity that it keeps at each step.
const MOMENTUM: f32 = 0.9;

/// Gradient descent with Nesterov momentum and decoupled weight decay.
#[derive(Debug, Clone)]
pub struct Sgd {
    velocity: Vec<f32>,
    /// 1 for parameters with weight decay, 0 for the others.
    decays: Vec<f32>,
}

impl Sgd {
    /// Starts with a state of zeros for `parameters` parameters. Those in the ranges `decaying` have weight decay.
    pub fn new(parameters: usize, decaying: impl Iterator<Item = Range<usize>>) -> Self {
        Self { velocity: vec![0.0; parameters], decays: decay_mask(parameters, decaying) }
    }

    /// Moves `parameters` against `gradient`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32, weight_decay: f32) {
        let state = self.velocity.iter_mut().zip(&self.decays);
        for ((parameter, &gradient), (velocity, decays)) in parameters.iter_mut().zip(gradient).zip(state) {
            *velocity = MOMENTUM * *velocity + gradient;
            // Nesterov: steps along the gradient plus the updated velocity.
            let direction = gradient + MOMENTUM * *velocity;
            *parameter -= rate * (direction + weight_decay * decays * *parameter);
        }
    }
}

/// The state of the optimiser that a recipe names.
#[derive(Debug, Clone)]
pub enum OptimizerState {
    /// [`AdamW`].
    AdamW(AdamW),
    /// [`Sgd`].
    Sgd(Sgd),
}

impl OptimizerState {
    /// Starts with a state of zeros for `parameters` parameters. Those in the ranges `decaying` have weight decay.
    pub fn new(kind: Optimizer, parameters: usize, decaying: impl Iterator<Item = Range<usize>>) -> Self {
        match kind {
            Optimizer::AdamW => Self::AdamW(AdamW::new(parameters, decaying)),
            Optimizer::Sgd => Self::Sgd(Sgd::new(parameters, decaying)),
        }
    }

    /// Moves `parameters` against `gradient`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32, weight_decay: f32) {
        match self {
            Self::AdamW(adam) => adam.step(parameters, gradient, rate, weight_decay),
            Self::Sgd(sgd) => sgd.step(parameters, gradient, rate, weight_decay),
        }
    }
}

/// 1 for parameters in `decaying`, 0 for the others.
fn decay_mask(parameters: usize, decaying: impl Iterator<Item = Range<usize>>) -> Vec<f32> {
    let mut decays = vec![0.0; parameters];
    for range in decaying {
        decays[range].fill(1.0);
    }
    decays
}

/// A running (exponential) average of the parameters. It varies less than the parameters after a single step.
#[derive(Debug, Clone)]
pub struct Average {
    parameters: Vec<f32>,
    steps: usize,
}

impl Average {
    /// Starts from `parameters`.
    pub fn new(parameters: &[f32]) -> Self {
        Self { parameters: parameters.to_vec(), steps: 0 }
    }

    /// Adds the parameters after a step. In the first steps, their weight is larger than the recipe says, so that the
    /// initial values are soon forgotten.
    pub fn update(&mut self, parameters: &[f32], recipe: &Recipe) {
        self.steps += 1;
        let steps = self.steps as f32;
        let keep = recipe.averaging.min((1.0 + steps) / (10.0 + steps));
        for (average, parameter) in self.parameters.iter_mut().zip(parameters) {
            *average += (parameter - *average) * (1.0 - keep);
        }
    }

    /// The average.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_against_the_sign_of_the_gradient() {
        let mut parameters = [1.0, 1.0, 1.0];
        let mut optimizer = AdamW::new(3, std::iter::once(2..3));
        optimizer.step(&mut parameters, &[3.0, -0.01, 0.0], 0.1, 0.5);
        for (parameter, expected) in parameters.iter().zip([0.9, 1.1, 0.95]) {
            assert!((parameter - expected).abs() < 1e-5, "{parameter} for {expected}");
        }
    }

    #[test]
    fn a_quadratic_loss_is_minimised() {
        for kind in [Optimizer::AdamW, Optimizer::Sgd] {
            let mut parameters = [3.0, -2.0];
            let mut optimizer = OptimizerState::new(kind, 2, std::iter::empty());
            for step in 0..2000 {
                let gradient = [parameters[0] - 1.0, 10.0 * (parameters[1] - 0.5)];
                optimizer.step(&mut parameters, &gradient, 0.02 * (1.0 - step as f32 / 2000.0), 0.0);
            }
            assert!((parameters[0] - 1.0).abs() < 1e-2 && (parameters[1] - 0.5).abs() < 1e-2, "{kind:?}");
        }
    }

    #[test]
    fn momentum_makes_steps_ten_times_as_long_along_a_steady_gradient() {
        let mut parameters = [0.0, 1.0];
        let mut optimizer = Sgd::new(2, std::iter::once(1..2));
        let mut before = parameters;
        for _ in 0..200 {
            before = parameters;
            optimizer.step(&mut parameters, &[1.0, 0.0], 0.01, 0.5);
        }
        assert!((before[0] - parameters[0] - 0.1).abs() < 1e-4, "{}", before[0] - parameters[0]);
        // Without a gradient, only the weight decay acts: by 0.005 in each step.
        assert!((parameters[1] - 0.995_f32.powi(200)).abs() < 1e-4, "{}", parameters[1]);
    }

    #[test]
    fn the_average_lags_behind_the_parameters() {
        let recipe = Recipe { averaging: 0.9, ..Recipe::default() };
        let mut average = Average::new(&[100.0]);
        for step in 0..500 {
            average.update(&[step as f32], &recipe);
        }
        let lag = 499.0 - average.parameters()[0];
        assert!((lag - 9.0).abs() < 0.1, "lag {lag}");
    }
}
