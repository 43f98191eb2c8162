//! Batch norm statistics for the folded network.
//!
//! The statistics of the training cannot be used: they belong to other parameters than the averaged ones, and to
//! distorted pictures. This module runs undistorted training pictures through the averaged network, and averages the
//! statistics at each batch norm.

use rand::seq::index;
use rayon::prelude::*;

use super::recipe::Recipe;
use crate::data::{PIXELS, Pictures};
use crate::nn::batch_norm::Statistics;
use crate::nn::folded::{Folded, normalise};
use crate::nn::network::{Network, Workspace};
use crate::random::{Purpose, generator};

/// Number of pictures that are normalised together: enough that their statistics are close to those of all pictures.
const CHUNK: usize = 128;

/// Folds `network`, with statistics computed from the pictures with the indices in `order`.
pub fn fold(network: &Network, pictures: &Pictures, order: &[u32], recipe: &Recipe) -> Folded {
    let mut draws = generator(recipe.seed, Purpose::Statistics, 0, 0);
    let wanted = recipe.statistics_pictures.min(order.len());
    let mut chosen: Vec<u32> =
        index::sample(&mut draws, order.len(), wanted).into_iter().map(|i| order[i]).collect();
    // The training shuffles the indices in each epoch. Sorting them makes the same pictures be chosen each time.
    chosen.sort_unstable();
    let chunks: Vec<Vec<Statistics>> = chosen
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut workspace = Workspace::new(network.architecture(), chunk.len());
            for (&index, out) in chunk.iter().zip(workspace.pictures.chunks_exact_mut(PIXELS)) {
                fill(pictures.row_major(index as usize), out);
            }
            network.forward(&mut workspace);
            workspace.statistics().cloned().collect()
        })
        .collect();
    let blocks = network.architecture().blocks.len();
    let statistics: Vec<Statistics> = (0..blocks).map(|block| pool(&chunks, block)).collect();
    Folded::new(network.architecture().clone(), network.parameters().to_vec(), &statistics)
}

/// Writes a picture as input of the network.
fn fill(picture: &[u8], out: &mut [f32]) {
    for (out, &grey) in out.iter_mut().zip(picture) {
        *out = f32::from(grey);
    }
    normalise(out);
}

/// Mean and variance over all chunks of one block. The variance is the one within the chunks plus the one between their
/// means.
fn pool(chunks: &[Vec<Statistics>], block: usize) -> Statistics {
    let share = 1.0 / chunks.len() as f64;
    let channels = chunks[0][block].mean.len();
    let mut pooled = Statistics { mean: vec![0.0; channels], variance: vec![0.0; channels] };
    for channel in 0..channels {
        let parts = || chunks.iter().map(|chunk| &chunk[block]);
        let mean: f64 = parts().map(|part| f64::from(part.mean[channel]) * share).sum();
        let variance = |part: &Statistics| {
            f64::from(part.variance[channel]) + (f64::from(part.mean[channel]) - mean).powi(2)
        };
        pooled.mean[channel] = mean as f32;
        pooled.variance[channel] = (parts().map(variance).sum::<f64>() * share) as f32;
    }
    pooled
}
