//! A dense layer: each output is a weighted sum of all inputs, plus a bias.

use super::matmul::{Destination, Matrix, multiply};

/// The shape of a dense layer; weights are laid out `[input, output]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
}

impl Dense {
    /// Number of weights, without the biases.
    pub fn weights(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Computes the outputs `y`, `[rows, outputs]`, of the inputs `x`, `[rows, inputs]`.
    pub fn forward(&self, weights: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
        for row in y.chunks_exact_mut(self.outputs) {
            row.copy_from_slice(bias);
        }
        let rows = x.len() / self.inputs;
        let weights = Matrix::new(weights, self.inputs, self.outputs);
        multiply(y, Destination::Add, Matrix::new(x, rows, self.inputs), weights);
    }

    /// Adds the gradients of the weights and biases to `weights` and `bias`.
    pub fn backward_parameters(&self, x: &[f32], dy: &[f32], weights: &mut [f32], bias: &mut [f32]) {
        let rows = x.len() / self.inputs;
        let x = Matrix::new(x, rows, self.inputs);
        multiply(weights, Destination::Add, x.transposed(), Matrix::new(dy, rows, self.outputs));
        for row in dy.chunks_exact(self.outputs) {
            for (gradient, dy) in bias.iter_mut().zip(row) {
                *gradient += dy;
            }
        }
    }

    /// Writes the gradient of the inputs to `dx`.
    pub fn backward_input(&self, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
        let rows = dy.len() / self.outputs;
        let weights = Matrix::new(weights, self.inputs, self.outputs).transposed();
        multiply(dx, Destination::Replace, Matrix::new(dy, rows, self.outputs), weights);
    }
}
