//! A 3×3 convolution with "same" padding and without bias (the batch norm after it adds a shift).
//!
//! Pictures are `[side, side, channels]`. A picture of one channel is convolved directly, pixel by pixel. Pictures of
//! more channels are convolved by Winograd's algorithm: matrix products over the channels, between two transforms. It
//! takes 16 multiplications instead of 36.

use super::matmul::{Destination, Matrix, multiply};
use transform::{Grid, Input, Output, POSITIONS, Weights};

mod direct;
mod transform;

/// Rows and columns of the kernel.
const KERNEL: usize = 3;
/// Number of weights in the kernel, for one pair of input and output channel.
const TAPS: usize = KERNEL * KERNEL;
/// Least number of tiles in one matrix product. Smaller products are slow for their size; much larger ones do not fit
/// into the cache.
const TILES: usize = 64;

/// The shape of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Rows and columns of the input and of the output.
    pub side: usize,
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
}

/// The weights, transformed for the forward and the backward pass.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `[position, input, output]`. With one input channel, the plain weights.
    forward: Vec<f32>,
    /// `[position, output, input]`. With one input channel, empty.
    backward: Vec<f32>,
}

/// Working memory of a convolution, for [`Conv::pictures_at_once`] pictures.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// `[position, tile, input]`
    inputs: Vec<f32>,
    /// `[position, tile, output]`
    outputs: Vec<f32>,
    /// `[position, input, output]`
    weights: Vec<f32>,
    /// One picture of one channel, with zero padding.
    padded: Vec<f32>,
}

/// Arguments of the backward pass.
#[derive(Debug)]
pub struct Backward<'a> {
    /// The kernel of the forward pass.
    pub kernel: &'a Kernel,
    /// The input pictures of the forward pass.
    pub x: &'a [f32],
    /// The gradient of the loss with respect to the output.
    pub dz: &'a [f32],
    /// Where to write the gradient with respect to `x`. The first layer has `None`: nothing needs its gradient.
    pub dx: Option<&'a mut [f32]>,
}

impl Conv {
    /// Number of weights, laid out `[kernel row, kernel column, input, output]`.
    pub fn weights(&self) -> usize {
        TAPS * self.inputs * self.outputs
    }

    /// Number of values in one output picture.
    pub fn output_len(&self) -> usize {
        self.side * self.side * self.outputs
    }

    /// Number of values in one input picture.
    pub fn input_len(&self) -> usize {
        self.side * self.side * self.inputs
    }

    /// Largest number of pictures in one call of [`Conv::forward`] or [`Conv::backward`].
    pub fn pictures_at_once(&self) -> usize {
        if self.is_direct() { 1 } else { TILES.div_ceil(self.input_grid().tiles()) }
    }

    /// Allocates the working memory for [`Conv::pictures_at_once`] pictures.
    pub fn scratch(&self) -> Scratch {
        let padded = vec![0.0; direct::padded_len(self.side)];
        if self.is_direct() {
            return Scratch { inputs: Vec::new(), outputs: Vec::new(), weights: Vec::new(), padded };
        }
        let tiles = self.pictures_at_once() * self.input_grid().tiles();
        Scratch {
            inputs: vec![0.0; POSITIONS * tiles * self.inputs],
            outputs: vec![0.0; POSITIONS * tiles * self.outputs],
            weights: vec![0.0; POSITIONS * self.inputs * self.outputs],
            padded,
        }
    }

    /// Allocates a kernel for [`Conv::prepare`] to fill.
    pub fn kernel(&self) -> Kernel {
        if self.is_direct() {
            return Kernel { forward: vec![0.0; self.weights()], backward: Vec::new() };
        }
        let zeros = vec![0.0; POSITIONS * self.inputs * self.outputs];
        Kernel { forward: zeros.clone(), backward: zeros }
    }

    /// Transforms `weights` into `kernel`.
    pub fn prepare(&self, weights: &[f32], kernel: &mut Kernel) {
        let Kernel { forward, backward } = kernel;
        if self.is_direct() {
            forward.copy_from_slice(weights);
            return;
        }
        self.weight_grid().spread(Weights, weights, forward);
        let position_len = self.inputs * self.outputs;
        for (from, to) in forward.chunks_exact(position_len).zip(backward.chunks_exact_mut(position_len)) {
            for (input, row) in from.chunks_exact(self.outputs).enumerate() {
                for (output, &weight) in row.iter().enumerate() {
                    to[output * self.inputs + input] = weight;
                }
            }
        }
    }

    /// Convolves the pictures `x`, at most [`Conv::pictures_at_once`], into `z`.
    pub fn forward(&self, kernel: &Kernel, x: &[f32], z: &mut [f32], scratch: &mut Scratch) {
        if self.is_direct() {
            direct::forward(self, &kernel.forward, x, z, &mut scratch.padded);
            return;
        }
        let tiles = x.len() / self.input_len() * self.input_grid().tiles();
        let inputs = &mut scratch.inputs[..POSITIONS * tiles * self.inputs];
        let outputs = &mut scratch.outputs[..POSITIONS * tiles * self.outputs];
        self.input_grid().spread(Input, x, inputs);
        for (position, z) in outputs.chunks_exact_mut(tiles * self.outputs).enumerate() {
            let x = matrix(inputs, position, tiles, self.inputs);
            multiply(
                z,
                Destination::Replace,
                x,
                matrix(&kernel.forward, position, self.inputs, self.outputs),
            );
        }
        z.fill(0.0);
        self.output_grid().collect(Output, outputs, z);
    }

    /// Adds the gradient of the weights to `weight_gradient`, and writes the gradient of `x` if `pass.dx` is given.
    ///
    /// Takes at most [`Conv::pictures_at_once`] pictures.
    pub fn backward(&self, pass: Backward<'_>, weight_gradient: &mut [f32], scratch: &mut Scratch) {
        let Backward { kernel, x, dz, dx } = pass;
        if self.is_direct() {
            direct::backward(self, x, dz, weight_gradient, &mut scratch.padded);
            if let Some(dx) = dx {
                direct::backward_input(self, &kernel.forward, dz, dx, &mut scratch.padded);
            }
            return;
        }
        let tiles = x.len() / self.input_len() * self.input_grid().tiles();
        let inputs = &mut scratch.inputs[..POSITIONS * tiles * self.inputs];
        let outputs = &mut scratch.outputs[..POSITIONS * tiles * self.outputs];
        // The inputs are transformed a second time: that is faster than storing and reloading the first result.
        self.input_grid().spread(Input, x, inputs);
        self.output_grid().spread(Output, dz, outputs);
        let gradients = scratch.weights.chunks_exact_mut(self.inputs * self.outputs);
        for (position, gradient) in gradients.enumerate() {
            let x = matrix(inputs, position, tiles, self.inputs).transposed();
            multiply(gradient, Destination::Replace, x, matrix(outputs, position, tiles, self.outputs));
        }
        self.weight_grid().collect(Weights, &scratch.weights, weight_gradient);
        if let Some(dx) = dx {
            for (position, dx) in inputs.chunks_exact_mut(tiles * self.inputs).enumerate() {
                let dz = matrix(outputs, position, tiles, self.outputs);
                let weights = matrix(&kernel.backward, position, self.outputs, self.inputs);
                multiply(dx, Destination::Replace, dz, weights);
            }
            dx.fill(0.0);
            self.input_grid().collect(Input, inputs, dx);
        }
    }

    fn is_direct(&self) -> bool {
        self.inputs == 1
    }

    fn input_grid(&self) -> Grid {
        Grid::new(self.side, self.inputs)
    }

    fn output_grid(&self) -> Grid {
        Grid::new(self.side, self.outputs)
    }

    /// The weights as one window with a channel for each pair of input and output channel.
    fn weight_grid(&self) -> Grid {
        Grid { side: KERNEL, across: 1, channels: self.inputs * self.outputs }
    }
}

/// The matrix at one position of the transform.
fn matrix(numbers: &[f32], position: usize, rows: usize, columns: usize) -> Matrix<'_> {
    Matrix::new(&numbers[position * rows * columns..][..rows * columns], rows, columns)
}
