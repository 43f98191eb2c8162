//! The batch norms' statistics for the folded network, measured after the fact.
//!
//! The averaged parameters never saw the statistics of the chunks that were trained on, and those were of
//! distorted pictures. So undistorted training pictures are run through the averaged network, and what its
//! batch norms meet is averaged.

use rand::seq::index;
use rayon::prelude::*;

use super::recipe::Recipe;
use crate::data::{PIXELS, Pictures};
use crate::nn::batch_norm::Statistics;
use crate::nn::folded::{Folded, normalise};
use crate::nn::network::{Network, Workspace};
use crate::random::{Purpose, generator};

/// Pictures that are normalised together: many, so that their statistics are nearly those of all.
const CHUNK: usize = 128;

/// Folds `network`, measuring its statistics on the pictures that `order` names.
pub fn fold(network: &Network, pictures: &Pictures, order: &[u32], recipe: &Recipe) -> Folded {
    let mut draws = generator(recipe.seed, Purpose::Statistics, 0, 0);
    let wanted = recipe.statistics_pictures.min(order.len());
    let mut chosen: Vec<u32> =
        index::sample(&mut draws, order.len(), wanted).into_iter().map(|i| order[i]).collect();
    // The order of the pictures has changed with every epoch; which ones are chosen should not.
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

/// Writes a picture as the network gets it.
fn fill(picture: &[u8], out: &mut [f32]) {
    for (out, &grey) in out.iter_mut().zip(picture) {
        *out = f32::from(grey);
    }
    normalise(out);
}

/// Mean and variance over all chunks of one block: the variance within them and that between their means.
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
