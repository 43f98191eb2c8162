//! The intermediate results of one chunk of pictures, which the backward pass needs.

use super::architecture::{Architecture, Block};
use super::batch_norm::Statistics;
use super::conv::Scratch;

/// Buffers of one block for a chunk of pictures.
#[derive(Debug)]
pub(super) struct BlockBuffers {
    /// Output of the convolution before pooling, for [`Conv::pictures_at_once`](super::conv::Conv::pictures_at_once)
    /// pictures.
    pub before_pool: Vec<f32>,
    /// Which of four pixels was the maximum in the pooling.
    pub winner: Vec<u8>,
    /// Input of the batch norm.
    pub before_norm: Vec<f32>,
    /// Output of the block.
    pub output: Vec<f32>,
    /// Statistics of `before_norm` over the chunk.
    pub statistics: Statistics,
    /// The gradient of `output`, and later that of `before_norm`.
    pub gradient: Vec<f32>,
    pub scratch: Scratch,
}

impl BlockBuffers {
    fn new(block: &Block, pictures: usize) -> Self {
        let outputs = pictures * block.output_len();
        let at_once = block.conv.pictures_at_once();
        Self {
            before_pool: vec![0.0; block.pool.map_or(0, |_| at_once * block.conv.output_len())],
            winner: vec![0; if block.pool.is_some() { outputs } else { 0 }],
            before_norm: vec![0.0; outputs],
            output: vec![0.0; outputs],
            statistics: Statistics::default(),
            gradient: vec![0.0; outputs],
            scratch: block.conv.scratch(),
        }
    }
}

/// All buffers for one chunk. They are reused from batch to batch.
#[derive(Debug)]
pub struct Workspace {
    /// The chunk's pictures, `[pictures, side, side]`. The caller fills them before a pass.
    pub pictures: Vec<f32>,
    /// The chunk's labels. The caller fills them before a pass.
    pub labels: Vec<u8>,
    /// The gradient of each parameter, summed over the chunk.
    pub gradient: Vec<f32>,
    pub(super) blocks: Vec<BlockBuffers>,
    pub(super) mean: Vec<f32>,
    pub(super) mean_gradient: Vec<f32>,
    pub(super) logits: Vec<f32>,
}

impl Workspace {
    /// Buffers for chunks of `pictures` pictures.
    pub fn new(architecture: &Architecture, pictures: usize) -> Self {
        let blocks = architecture.blocks.iter().map(|block| BlockBuffers::new(block, pictures)).collect();
        Self {
            pictures: vec![0.0; pictures * architecture.picture_len()],
            labels: vec![0; pictures],
            gradient: vec![0.0; architecture.parameters()],
            blocks,
            mean: vec![0.0; pictures * architecture.head.inputs],
            mean_gradient: vec![0.0; pictures * architecture.head.inputs],
            logits: vec![0.0; pictures * architecture.head.outputs],
        }
    }

    /// The batch norm statistics of the last forward pass, one for each block.
    pub fn statistics(&self) -> impl Iterator<Item = &Statistics> {
        self.blocks.iter().map(|block| &block.statistics)
    }
}
