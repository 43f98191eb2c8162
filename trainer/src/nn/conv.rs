//! A 3×3 convolution with "same" padding and no bias (the batch norm after it brings the shift).
//!
//! Pictures are `[side, side, channels]`. Those of one channel are convolved directly, pixel by pixel; others as
//! Winograd found, by matrix products over the channels between two transforms: 16 multiplications for every 36.

use super::matmul::{Destination, Matrix, multiply};
use transform::{Grid, Input, Output, POSITIONS, Weights};

mod direct;
mod transform;

/// Rows and columns of the kernel.
const KERNEL: usize = 3;
/// Pixels under the kernel.
const TAPS: usize = KERNEL * KERNEL;
/// Tiles that share a product at the least: with fewer it is over before it is fast. Many more leave the cache.
const TILES: usize = 64;

/// The shape of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Rows and columns of the picture, in and out.
    pub side: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub outputs: usize,
}

/// The weights as the way forward and the way back read them.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `[position, input, output]`; of one input channel, the weights as they are.
    forward: Vec<f32>,
    /// `[position, output, input]`; of one input channel, nothing.
    backward: Vec<f32>,
}

/// Memory that a convolution needs while it runs, for as many pictures as it takes at once.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// `[position, tile, input]`
    inputs: Vec<f32>,
    /// `[position, tile, output]`
    outputs: Vec<f32>,
    /// `[position, input, output]`
    weights: Vec<f32>,
    /// One picture of one channel, in a frame of zeros.
    framed: Vec<f32>,
}

/// What the backward pass reads, and where the input gradient goes.
#[derive(Debug)]
pub struct Backward<'a> {
    /// The kernel that [`Conv::forward`] had.
    pub kernel: &'a Kernel,
    /// The pictures that went in.
    pub x: &'a [f32],
    /// The loss's gradient by what came out.
    pub dz: &'a [f32],
    /// Where the loss's gradient by `x` goes, unless nobody needs it.
    pub dx: Option<&'a mut [f32]>,
}

impl Conv {
    /// Number of weights, laid out `[kernel row, kernel column, input, output]`.
    pub fn weights(&self) -> usize {
        TAPS * self.inputs * self.outputs
    }

    /// Numbers in one output picture.
    pub fn output_len(&self) -> usize {
        self.side * self.side * self.outputs
    }

    /// Numbers in one input picture.
    pub fn input_len(&self) -> usize {
        self.side * self.side * self.inputs
    }

    /// The most pictures that it takes at once.
    pub fn pictures_at_once(&self) -> usize {
        if self.is_direct() { 1 } else { TILES.div_ceil(self.input_grid().tiles()) }
    }

    /// Memory for [`Conv::pictures_at_once`].
    pub fn scratch(&self) -> Scratch {
        let framed = vec![0.0; direct::framed_len(self.side)];
        if self.is_direct() {
            return Scratch { inputs: Vec::new(), outputs: Vec::new(), weights: Vec::new(), framed };
        }
        let tiles = self.pictures_at_once() * self.input_grid().tiles();
        Scratch {
            inputs: vec![0.0; POSITIONS * tiles * self.inputs],
            outputs: vec![0.0; POSITIONS * tiles * self.outputs],
            weights: vec![0.0; POSITIONS * self.inputs * self.outputs],
            framed,
        }
    }

    /// Memory for [`Conv::prepare`].
    pub fn kernel(&self) -> Kernel {
        if self.is_direct() {
            return Kernel { forward: vec![0.0; self.weights()], backward: Vec::new() };
        }
        let zeros = vec![0.0; POSITIONS * self.inputs * self.outputs];
        Kernel { forward: zeros.clone(), backward: zeros }
    }

    /// Makes the kernel of `weights`.
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

    /// Convolves pictures `x` into `z`, at most [`Conv::pictures_at_once`].
    pub fn forward(&self, kernel: &Kernel, x: &[f32], z: &mut [f32], scratch: &mut Scratch) {
        if self.is_direct() {
            direct::forward(self, &kernel.forward, x, z, &mut scratch.framed);
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

    /// Adds the gradient of the weights to `weight_gradient` and, where asked for, writes that of `x`.
    ///
    /// Takes at most [`Conv::pictures_at_once`].
    pub fn backward(&self, pass: Backward<'_>, weight_gradient: &mut [f32], scratch: &mut Scratch) {
        let Backward { kernel, x, dz, dx } = pass;
        if self.is_direct() {
            direct::backward(self, x, dz, weight_gradient, &mut scratch.framed);
            if let Some(dx) = dx {
                direct::backward_input(self, &kernel.forward, dz, dx, &mut scratch.framed);
            }
            return;
        }
        let tiles = x.len() / self.input_len() * self.input_grid().tiles();
        let inputs = &mut scratch.inputs[..POSITIONS * tiles * self.inputs];
        let outputs = &mut scratch.outputs[..POSITIONS * tiles * self.outputs];
        // The inputs are transformed once more: that is sooner done than kept in memory and fetched from there.
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

    /// The weights as one window, whose channels are all pairs of an input and an output.
    fn weight_grid(&self) -> Grid {
        Grid { side: KERNEL, across: 1, channels: self.inputs * self.outputs }
    }
}

/// The matrix at one position.
fn matrix(numbers: &[f32], position: usize, rows: usize, columns: usize) -> Matrix<'_> {
    Matrix::new(&numbers[position * rows * columns..][..rows * columns], rows, columns)
}
