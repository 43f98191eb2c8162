//! `AdamW`: steps scaled by running means of the gradient and of its square, with decoupled weight decay; plain
//! gradient descent with momentum; and the running average of the parameters that is what gets exported.

use std::ops::Range;

use super::recipe::{Optimizer, Recipe};

/// Share that the running mean of the gradient keeps of itself.
const MEAN_DECAY: f32 = 0.9;
/// Share that the running mean of the squared gradient keeps of itself; less than the usual 0.999, since a run
/// has only some ten thousand steps and the gradient's size changes quickly in the first of them.
const SQUARE_DECAY: f32 = 0.99;
/// Added to the root of the squares, so that a parameter without gradient stays where it is.
const EPSILON: f32 = 1e-8;

/// The optimiser's state: two numbers a parameter.
#[derive(Debug, Clone)]
pub struct AdamW {
    mean: Vec<f32>,
    square: Vec<f32>,
    /// 1 for parameters that decay, 0 for the others.
    decays: Vec<f32>,
    steps: i32,
}

impl AdamW {
    /// A fresh state for so many `parameters`, of which those in `decaying` are drawn towards 0.
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

/// Share that the velocity of gradient descent keeps of itself.
const MOMENTUM: f32 = 0.9;

/// Gradient descent with Nesterov's momentum and decoupled weight decay: one number a parameter.
#[derive(Debug, Clone)]
pub struct Sgd {
    velocity: Vec<f32>,
    /// 1 for parameters that decay, 0 for the others.
    decays: Vec<f32>,
}

impl Sgd {
    /// A fresh state for so many `parameters`, of which those in `decaying` are drawn towards 0.
    pub fn new(parameters: usize, decaying: impl Iterator<Item = Range<usize>>) -> Self {
        Self { velocity: vec![0.0; parameters], decays: decay_mask(parameters, decaying) }
    }

    /// Moves `parameters` against `gradient`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32, weight_decay: f32) {
        let state = self.velocity.iter_mut().zip(&self.decays);
        for ((parameter, &gradient), (velocity, decays)) in parameters.iter_mut().zip(gradient).zip(state) {
            *velocity = MOMENTUM * *velocity + gradient;
            // Nesterov's: the gradient as if the velocity's next step were taken already.
            let direction = gradient + MOMENTUM * *velocity;
            *parameter -= rate * (direction + weight_decay * decays * *parameter);
        }
    }
}

/// The optimiser that a recipe asks for.
#[derive(Debug, Clone)]
pub enum Stepper {
    /// [`AdamW`].
    AdamW(AdamW),
    /// [`Sgd`].
    Sgd(Sgd),
}

impl Stepper {
    /// A fresh state.
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

/// A running average of the parameters: smoother than any single step's.
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

    /// Takes in the parameters after a step. Early on the average keeps less of itself than the recipe says,
    /// so that the first values are soon forgotten.
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
    fn a_bowl_is_descended_to_its_floor() {
        for kind in [Optimizer::AdamW, Optimizer::Sgd] {
            let mut parameters = [3.0, -2.0];
            let mut optimizer = Stepper::new(kind, 2, std::iter::empty());
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
        // Without a gradient, only the decay: a share of 0.005 each time.
        assert!((parameters[1] - 0.995_f32.powi(200)).abs() < 1e-4, "{}", parameters[1]);
    }

    #[test]
    fn the_average_trails_what_it_averages() {
        let recipe = Recipe { averaging: 0.9, ..Recipe::default() };
        let mut average = Average::new(&[100.0]);
        for step in 0..500 {
            average.update(&[step as f32], &recipe);
        }
        let lag = 499.0 - average.parameters()[0];
        assert!((lag - 9.0).abs() < 0.1, "lag {lag}");
    }
}
