//! Pooling: the maximum of each 2×2 pixels, and the mean over a whole picture.

use crate::simd::vectorised;

/// 2×2 max pooling of `[side, side, channels]` into `[side/2, side/2, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Rows and columns of the input; an even number.
    pub side: usize,
    /// Channels.
    pub channels: usize,
}

impl MaxPool {
    /// Number of values in one output picture.
    pub fn output_len(&self) -> usize {
        self.side * self.side * self.channels / 4
    }

    /// Pools pictures. Writes to `winner` which of the four pixels is the maximum (0 to 3, row by row; of equal ones,
    /// the first).
    pub fn forward(&self, x: &[f32], y: &mut [f32], winner: &mut [u8]) {
        vectorised(
            #[inline(always)]
            || self.forward_inlined(x, y, winner),
        );
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
    fn forward_inlined(&self, x: &[f32], y: &mut [f32], winner: &mut [u8]) {
        let row = self.side * self.channels;
        let outputs = y.chunks_exact_mut(row / 2).zip(winner.chunks_exact_mut(row / 2));
        for (pair, (y, winner)) in x.chunks_exact(2 * row).zip(outputs) {
            let (upper, lower) = pair.split_at(row);
            let quads = upper.chunks_exact(2 * self.channels).zip(lower.chunks_exact(2 * self.channels));
            let outputs = y.chunks_exact_mut(self.channels).zip(winner.chunks_exact_mut(self.channels));
            for ((upper, lower), (y, winner)) in quads.zip(outputs) {
                let (a, b) = upper.split_at(self.channels);
                let (c, d) = lower.split_at(self.channels);
                largest([a, b, c, d], y, winner);
            }
        }
    }

    /// Writes the gradient of the input: the gradient of each output goes to the pixel that was the maximum.
    pub fn backward(&self, dy: &[f32], winner: &[u8], dx: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || self.backward_inlined(dy, winner, dx),
        );
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
    fn backward_inlined(&self, dy: &[f32], winner: &[u8], dx: &mut [f32]) {
        let row = self.side * self.channels;
        let outputs = dy.chunks_exact(row / 2).zip(winner.chunks_exact(row / 2));
        for (pair, (dy, winner)) in dx.chunks_exact_mut(2 * row).zip(outputs) {
            let (upper, lower) = pair.split_at_mut(row);
            let quads =
                upper.chunks_exact_mut(2 * self.channels).zip(lower.chunks_exact_mut(2 * self.channels));
            let outputs = dy.chunks_exact(self.channels).zip(winner.chunks_exact(self.channels));
            for ((upper, lower), (dy, winner)) in quads.zip(outputs) {
                let (a, b) = upper.split_at_mut(self.channels);
                let (c, d) = lower.split_at_mut(self.channels);
                for (place, dx) in [a, b, c, d].into_iter().enumerate() {
                    for ((dx, &dy), &winner) in dx.iter_mut().zip(dy).zip(winner) {
                        *dx = if usize::from(winner) == place { dy } else { 0.0 };
                    }
                }
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn largest([a, b, c, d]: [&[f32]; 4], y: &mut [f32], winner: &mut [u8]) {
    let inputs = a.iter().zip(b).zip(c.iter().zip(d));
    for (((&a, &b), (&c, &d)), (y, winner)) in inputs.zip(y.iter_mut().zip(winner)) {
        let (upper, upper_place) = if b > a { (b, 1) } else { (a, 0) };
        let (lower, lower_place) = if d > c { (d, 3) } else { (c, 2) };
        (*y, *winner) = if lower > upper { (lower, lower_place) } else { (upper, upper_place) };
    }
}

/// Writes the mean of each channel over one picture, `[pixels, channels]`. `mean` has one value for each channel.
pub fn global_average(x: &[f32], mean: &mut [f32]) {
    let channels = mean.len();
    let share = channels as f32 / x.len() as f32;
    mean.fill(0.0);
    for pixel in x.chunks_exact(channels) {
        for (mean, &x) in mean.iter_mut().zip(pixel) {
            *mean += x;
        }
    }
    for mean in mean {
        *mean *= share;
    }
}

/// Writes the gradient of a picture, given the gradient of its channel means.
pub fn global_average_backward(dmean: &[f32], dx: &mut [f32]) {
    let channels = dmean.len();
    let share = channels as f32 / dx.len() as f32;
    for pixel in dx.chunks_exact_mut(channels) {
        for (dx, &dmean) in pixel.iter_mut().zip(dmean) {
            *dx = dmean * share;
        }
    }
}
