//! What the network looks like, and where each of its parameters lies.

use std::ops::Range;

use super::conv::Conv;
use super::dense::Dense;
use super::pool::MaxPool;

/// A convolution, an optional 2×2 pool, a batch norm and a rectifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpec {
    /// Channels that go out.
    pub channels: usize,
    /// Whether 2×2 maximum pooling halves the picture.
    pub pool: bool,
}

/// The digits network: 70,122 weights and 5.5 million multiply-adds a picture.
pub const DIGITS: &[BlockSpec] = &[
    BlockSpec { channels: 16, pool: true },
    BlockSpec { channels: 32, pool: false },
    BlockSpec { channels: 32, pool: true },
    BlockSpec { channels: 64, pool: false },
    BlockSpec { channels: 64, pool: false },
];

/// A block with its shapes, and its parameters' places in the flat vector that holds them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The convolution.
    pub conv: Conv,
    /// The pool, where there is one.
    pub pool: Option<MaxPool>,
    /// Where the convolution's weights are.
    pub weights: Range<usize>,
    /// Where the batch norm's shifts are.
    pub beta: Range<usize>,
}

impl Block {
    /// Numbers in one picture that goes out.
    pub fn output_len(&self) -> usize {
        self.pool.map_or(self.conv.output_len(), |pool| pool.output_len())
    }
}

/// A chain of blocks, the mean over the picture, and a dense layer that gives one logit a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Rows and columns of a picture; it has one channel.
    pub side: usize,
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// The last layer.
    pub head: Dense,
    /// Where the last layer's weights are.
    pub head_weights: Range<usize>,
    /// Where the last layer's biases are.
    pub head_bias: Range<usize>,
}

impl Architecture {
    /// Lays out `specs` for pictures of `side` × `side` and `classes` classes.
    ///
    /// # Panics
    /// When there is no block, or a pool meets an odd side.
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

    /// Numbers in one picture.
    pub fn picture_len(&self) -> usize {
        self.side * self.side
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.head_bias.end
    }

    /// The ranges that hold weights; shifts and biases lie between them.
    pub fn weight_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let blocks = self.blocks.iter().map(|block| block.weights.clone());
        blocks.chain(std::iter::once(self.head_weights.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_network_has_the_size_it_claims() {
        let digits = Architecture::digits();
        assert_eq!(digits.parameters(), 70_122);
        let macs: usize = digits.blocks.iter().map(|b| b.conv.weights() * b.conv.side * b.conv.side).sum();
        assert_eq!(macs / 10_000, 553);
    }
}
