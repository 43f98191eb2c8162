//! The network for inference: each batch norm is folded into the convolution before it.

use ndarray::{ArrayView1, ArrayView2, ArrayView4};

use super::architecture::{Architecture, Block};
use super::batch_norm::Statistics;
use super::conv::{Kernel, Scratch};
use super::{loss, pool};

/// Lower limit of the divisor when a picture is scaled by its largest pixel. A black picture then stays black.
pub const DARKEST: f32 = 1e-6;

/// A network whose `beta` ranges hold the biases of its convolutions.
///
/// The trainer stores, evaluates and exports the network in this form.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The layers and the ranges of their parameters.
    pub architecture: Architecture,
    /// The weights and biases.
    pub parameters: Vec<f32>,
}

/// The prepared kernels of a network, and working memory for one picture.
#[derive(Debug)]
pub struct Buffers {
    convolutions: Vec<(Kernel, Scratch)>,
    picture: Vec<f32>,
    convolved: Vec<f32>,
    mean: Vec<f32>,
    winner: Vec<u8>,
}

impl Folded {
    /// Folds the statistics of each block's batch norm into trained parameters.
    pub fn new(architecture: Architecture, mut parameters: Vec<f32>, statistics: &[Statistics]) -> Self {
        for (block, statistics) in architecture.blocks.iter().zip(statistics) {
            let scale = statistics.inverse_deviation();
            for row in parameters[block.weights.clone()].chunks_exact_mut(scale.len()) {
                for (weight, scale) in row.iter_mut().zip(&scale) {
                    *weight *= scale;
                }
            }
            let shifts = statistics.mean.iter().zip(&scale);
            for (beta, (mean, scale)) in parameters[block.beta.clone()].iter_mut().zip(shifts) {
                *beta -= mean * scale;
            }
        }
        Self { architecture, parameters }
    }

    /// Weights of a block's convolution, `[kernel row, kernel column, input, output]`.
    pub fn weights(&self, block: &Block) -> ArrayView4<'_, f32> {
        let shape = (3, 3, block.conv.inputs, block.conv.outputs);
        ArrayView4::from_shape(shape, &self.parameters[block.weights.clone()])
            .expect("the layout is of this shape")
    }

    /// Biases of a block's convolution, `[output]`.
    pub fn bias(&self, block: &Block) -> ArrayView1<'_, f32> {
        self.parameters[block.beta.clone()].into()
    }

    /// Weights of the dense layer, `[input, digit]`.
    pub fn head_weights(&self) -> ArrayView2<'_, f32> {
        let Architecture { head, head_weights, .. } = &self.architecture;
        let shape = (head.inputs, head.outputs);
        ArrayView2::from_shape(shape, &self.parameters[head_weights.clone()])
            .expect("the layout is of this shape")
    }

    /// Biases of the dense layer, `[digit]`.
    pub fn head_bias(&self) -> ArrayView1<'_, f32> {
        self.parameters[self.architecture.head_bias.clone()].into()
    }

    /// Allocates the buffers for [`Folded::probabilities`].
    pub fn buffers(&self) -> Buffers {
        let blocks = &self.architecture.blocks;
        let longest = blocks.iter().map(|block| block.conv.output_len()).max().unwrap_or_default();
        Buffers {
            convolutions: blocks.iter().map(|block| (self.kernel(block), block.conv.scratch())).collect(),
            picture: vec![0.0; longest.max(self.architecture.picture_len())],
            convolved: vec![0.0; longest],
            mean: vec![0.0; self.architecture.head.inputs],
            winner: vec![0; longest],
        }
    }

    fn kernel(&self, block: &Block) -> Kernel {
        let mut kernel = block.conv.kernel();
        block.conv.prepare(&self.parameters[block.weights.clone()], &mut kernel);
        kernel
    }

    /// Writes the probability of each class for one picture, `[side, side]`, of any brightness scale.
    pub fn probabilities(&self, picture: &[f32], out: &mut [f32], buffers: &mut Buffers) {
        let here = &mut buffers.picture[..picture.len()];
        here.copy_from_slice(picture);
        normalise(here);
        let mut length = picture.len();
        for (index, block) in self.architecture.blocks.iter().enumerate() {
            length = self.forward_block(index, block, length, buffers);
        }
        let Buffers { picture, mean, .. } = buffers;
        pool::global_average(&picture[..length], mean);
        let architecture = &self.architecture;
        let weights = &self.parameters[architecture.head_weights.clone()];
        architecture.head.forward(weights, &self.parameters[architecture.head_bias.clone()], mean, out);
        loss::softmax(out);
    }

    /// Replaces the picture in `buffers` by the block's output, and returns its length.
    fn forward_block(&self, index: usize, block: &Block, length: usize, buffers: &mut Buffers) -> usize {
        let Buffers { convolutions, picture, convolved, winner, .. } = buffers;
        let (kernel, scratch) = &mut convolutions[index];
        let convolved = &mut convolved[..block.conv.output_len()];
        block.conv.forward(kernel, &picture[..length], convolved, scratch);
        let bias = &self.parameters[block.beta.clone()];
        for pixel in convolved.chunks_exact_mut(bias.len()) {
            for (value, bias) in pixel.iter_mut().zip(bias) {
                *value = (*value + bias).max(0.0);
            }
        }
        let length = block.output_len();
        match block.pool {
            Some(pool) => pool.forward(convolved, &mut picture[..length], &mut winner[..length]),
            None => picture[..length].copy_from_slice(convolved),
        }
        length
    }
}

/// Divides a picture by its largest pixel, so that the ranges 0–1 and 0–255 are equivalent.
pub fn normalise(picture: &mut [f32]) {
    let largest = picture.iter().copied().fold(DARKEST, f32::max);
    for pixel in picture {
        *pixel /= largest;
    }
}
