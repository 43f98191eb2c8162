//! The network for training: forward and backward pass over one chunk of pictures.
//!
//! A batch is cut into chunks of a fixed size. Each chunk has a workspace and batch norm statistics of its own. Chunks
//! can therefore be computed on any number of threads, in any order, with the same result.

use super::architecture::{Architecture, Block};
use super::batch_norm::{BatchNorm, StatisticsAccumulator};
use super::conv::{Backward, Kernel};
use super::workspace::BlockBuffers;
pub use super::workspace::Workspace;
use super::{loss, pool};

/// A network's parameters, and its weights as prepared for the convolutions.
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    parameters: Vec<f32>,
    /// The transformed weights of each block's convolution.
    kernels: Vec<Kernel>,
}

impl Network {
    /// A network with the given parameters.
    ///
    /// # Panics
    /// When their number does not match the architecture.
    pub fn new(architecture: Architecture, parameters: Vec<f32>) -> Self {
        assert_eq!(parameters.len(), architecture.parameters(), "parameters do not fit the architecture");
        let kernels = architecture.blocks.iter().map(|block| block.conv.kernel()).collect();
        let mut network = Self { architecture, parameters, kernels };
        network.prepare();
        network
    }

    /// The network's architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The network's parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Changes the parameters by `change`, and prepares the kernels anew.
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) {
        change(&mut self.parameters);
        self.prepare();
    }

    fn prepare(&mut self) {
        for (block, kernel) in self.architecture.blocks.iter().zip(&mut self.kernels) {
            block.conv.prepare(&self.parameters[block.weights.clone()], kernel);
        }
    }

    /// Forward pass over the pictures of `workspace`. Leaves logits and batch norm statistics in it.
    pub fn forward(&self, workspace: &mut Workspace) {
        let Workspace { pictures, blocks, mean, logits, .. } = workspace;
        let mut input: &[f32] = pictures;
        let layers = self.architecture.blocks.iter().zip(&self.kernels);
        for ((block, kernel), buffers) in layers.zip(blocks) {
            let beta = &self.parameters[block.beta.clone()];
            forward_block(block, kernel, beta, input, buffers);
            input = &buffers.output;
        }
        let head = self.architecture.head;
        let per_picture = input.len() * head.inputs / mean.len();
        for (picture, mean) in input.chunks_exact(per_picture).zip(mean.chunks_exact_mut(head.inputs)) {
            pool::global_average(picture, mean);
        }
        let (weights, bias) = self.head();
        head.forward(weights, bias, mean, logits);
    }

    /// Forward and backward pass over the pictures of `workspace`.
    ///
    /// Leaves the gradient of the chunk's summed loss in `workspace.gradient`. Returns the summed loss and the number
    /// of correct answers.
    pub fn learn(&self, workspace: &mut Workspace, smoothing: f32) -> (f32, usize) {
        self.forward(workspace);
        workspace.gradient.fill(0.0);
        let outcome = self.score(workspace, smoothing);
        self.backward_head(workspace);
        self.backward_blocks(workspace);
        outcome
    }

    /// Replaces the logits by their gradient. Returns the summed loss and the number of correct answers.
    fn score(&self, workspace: &mut Workspace, smoothing: f32) -> (f32, usize) {
        let (mut total, mut correct) = (0.0, 0);
        let rows = workspace.logits.chunks_exact_mut(self.architecture.head.outputs);
        for (row, &label) in rows.zip(&workspace.labels) {
            let label = usize::from(label);
            correct += usize::from(loss::largest(row) == label);
            total += loss::cross_entropy(row, label, smoothing);
        }
        (total, correct)
    }

    fn backward_head(&self, workspace: &mut Workspace) {
        let Workspace { blocks, mean, mean_gradient, logits, gradient, .. } = workspace;
        let head = self.architecture.head;
        let (weights, bias) = gradient[self.architecture.head_weights.start..].split_at_mut(head.weights());
        head.backward_parameters(mean, logits, weights, bias);
        head.backward_input(self.head().0, logits, mean_gradient);
        let dx = &mut blocks.last_mut().expect("an architecture has at least one block").gradient;
        let per_picture = dx.len() * head.inputs / mean.len();
        let pictures = dx.chunks_exact_mut(per_picture);
        for (dmean, dx) in mean_gradient.chunks_exact(head.inputs).zip(pictures) {
            pool::global_average_backward(dmean, dx);
        }
    }

    fn backward_blocks(&self, workspace: &mut Workspace) {
        let Workspace { pictures, blocks, gradient, .. } = workspace;
        for (index, block) in self.architecture.blocks.iter().enumerate().rev() {
            let (before, here) = blocks.split_at_mut(index);
            let buffers = &mut here[0];
            let gradients = &mut gradient[block.weights.start..block.beta.end];
            let (weight_gradient, beta_gradient) = gradients.split_at_mut(block.weights.len());
            let beta = &self.parameters[block.beta.clone()];
            let BlockBuffers { before_norm, statistics, gradient: g, .. } = buffers;
            BatchNorm { statistics, beta }.backward(before_norm, g, beta_gradient);
            let (x, dx) = match before.last_mut() {
                Some(before) => (&before.output, Some(before.gradient.as_mut_slice())),
                None => (&*pictures, None),
            };
            backward_convolution(block, buffers, weight_gradient, &self.kernels[index], x, dx);
        }
    }

    fn head(&self) -> (&[f32], &[f32]) {
        let architecture = &self.architecture;
        let weights = &self.parameters[architecture.head_weights.clone()];
        (weights, &self.parameters[architecture.head_bias.clone()])
    }
}

fn forward_block(block: &Block, kernel: &Kernel, beta: &[f32], input: &[f32], buffers: &mut BlockBuffers) {
    let BlockBuffers { before_pool, winner, before_norm, output, statistics, scratch, .. } = buffers;
    let (conv, length) = (block.conv, block.output_len());
    let at_once = conv.pictures_at_once();
    let mut accumulator = None;
    let groups = input.chunks(at_once * conv.input_len()).zip(before_norm.chunks_mut(at_once * length));
    for (index, (x, z)) in groups.enumerate() {
        if let Some(pool) = block.pool {
            let convolved = &mut before_pool[..x.len() / conv.input_len() * conv.output_len()];
            conv.forward(kernel, x, convolved, scratch);
            let winner = &mut winner[index * at_once * length..][..z.len()];
            pool.forward(convolved, z, winner);
        } else {
            conv.forward(kernel, x, z, scratch);
        }
        for z in z.chunks_exact(length) {
            accumulator.get_or_insert_with(|| StatisticsAccumulator::new(&z[..conv.outputs])).add(z);
        }
    }
    *statistics = accumulator.map(StatisticsAccumulator::finish).unwrap_or_default();
    BatchNorm { statistics, beta }.forward(before_norm, output);
}

/// Backward pass from the batch norm's input to the block's input `x`. Its gradient is written to `dx`, if that is
/// given.
fn backward_convolution(
    block: &Block,
    buffers: &mut BlockBuffers,
    weight_gradient: &mut [f32],
    kernel: &Kernel,
    x: &[f32],
    mut dx: Option<&mut [f32]>,
) {
    let BlockBuffers { before_pool, winner, gradient, scratch, .. } = buffers;
    let (conv, length) = (block.conv, block.output_len());
    let at_once = conv.pictures_at_once();
    let groups = x.chunks(at_once * conv.input_len()).zip(gradient.chunks(at_once * length));
    for (index, (x, dz)) in groups.enumerate() {
        let dz = match block.pool {
            Some(pool) => {
                let convolved = &mut before_pool[..x.len() / conv.input_len() * conv.output_len()];
                pool.backward(dz, &winner[index * at_once * length..][..dz.len()], convolved);
                &*convolved
            }
            None => dz,
        };
        let dx = dx.as_mut().map(|dx| &mut dx[index * at_once * conv.input_len()..][..x.len()]);
        conv.backward(Backward { kernel, x, dz, dx }, weight_gradient, scratch);
    }
}
