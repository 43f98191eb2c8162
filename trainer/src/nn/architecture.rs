//! The network's architecture: its layers, and the position of each parameter in one flat vector.

use std::ops::Range;

use super::conv::Conv;
use super::dense::Dense;
use super::pool::MaxPool;

/// A convolution, an optional 2×2 max pooling, a batch norm and a rectifier (`ReLU`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpec {
    /// Number of output channels.
    pub channels: usize,
    /// Whether 2×2 max pooling halves the picture's sides.
    pub pool: bool,
}

/// The blocks of the digits network, which has 70,122 parameters and needs 5.5 million multiply-adds per picture.
pub const DIGITS: &[BlockSpec] = &[
    BlockSpec { channels: 16, pool: true },
    BlockSpec { channels: 32, pool: false },
    BlockSpec { channels: 32, pool: true },
    BlockSpec { channels: 64, pool: false },
    BlockSpec { channels: 64, pool: false },
];

/// A block with its shapes, and the ranges of its parameters in the flat vector of all parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The convolution.
    pub conv: Conv,
    /// The max pooling, if the block has one.
    pub pool: Option<MaxPool>,
    /// Range of the convolution's weights.
    pub weights: Range<usize>,
    /// Range of the batch norm's shifts.
    pub beta: Range<usize>,
}

impl Block {
    /// Number of values in one output picture.
    pub fn output_len(&self) -> usize {
        self.pool.map_or(self.conv.output_len(), |pool| pool.output_len())
    }
}

/// A chain of blocks, a global average pooling, and a dense layer with one logit for each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Rows and columns of an input picture, which has one channel.
    pub side: usize,
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// The dense layer at the end.
    pub head: Dense,
    /// Range of the dense layer's weights.
    pub head_weights: Range<usize>,
    /// Range of the dense layer's biases.
    pub head_bias: Range<usize>,
}

impl Architecture {
    /// Builds an architecture of these blocks for pictures of `side` × `side` and `classes` classes.
    ///
    /// # Panics
    /// When there is no block, or the input of a max pooling has an odd side.
    pub fn new(side: usize, specs: &[BlockSpec], classes: usize) -> Self {
        let mut end = 0;
        let mut take = |length: usize| {
            end += length;
            end - length..end
        };
        let (mut here, mut inputs) = (side, 1);
        let mut blocks = Vec::with_capacity(specs.len());
        for spec in specs {
            assert!(!spec.pool || here.is_multiple_of(2), "2×2 pooling needs an even side, not {here}");
            let conv = Conv { side: here, inputs, outputs: spec.channels };
            let pool = spec.pool.then_some(MaxPool { side: here, channels: spec.channels });
            blocks.push(Block { conv, pool, weights: take(conv.weights()), beta: take(spec.channels) });
            here = if spec.pool { here / 2 } else { here };
            inputs = spec.channels;
        }
        assert!(!blocks.is_empty(), "a network needs at least one block");
        let head = Dense { inputs, outputs: classes };
        Self { side, blocks, head, head_weights: take(head.weights()), head_bias: take(classes) }
    }

    /// The network for MNIST digits.
    pub fn digits() -> Self {
        Self::new(28, DIGITS, 10)
    }

    /// Number of pixels in one input picture.
    pub fn picture_len(&self) -> usize {
        self.side * self.side
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.head_bias.end
    }

    /// The ranges of the weights, without those of shifts and biases.
    pub fn weight_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let blocks = self.blocks.iter().map(|block| block.weights.clone());
        blocks.chain(std::iter::once(self.head_weights.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_network_has_the_documented_size() {
        let digits = Architecture::digits();
        assert_eq!(digits.parameters(), 70_122);
        let macs: usize = digits.blocks.iter().map(|b| b.conv.weights() * b.conv.side * b.conv.side).sum();
        assert_eq!(macs / 10_000, 553);
    }
}
