//! Batch norm followed by a rectifier (`ReLU`).
//!
//! Each channel is normalised to mean 0 and variance 1 over a chunk of pictures, shifted by `beta`, and rectified.
//! There is no learned scale, because the next layer absorbs it: either a convolution with its own norm, or a dense
//! layer.
//!
//! Without a negative scale, the norm commutes with max pooling. Training therefore pools first, which leaves a quarter
//! of the values to normalise. In the exported graph, the norm is folded into the convolution before the pooling.

use crate::simd::{LANES, vectorised};

/// Added to the variance, so that a constant channel causes no division by zero.
pub const EPSILON: f32 = 1e-5;

/// Mean and variance of each channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Biased variance of each channel.
    pub variance: Vec<f32>,
}

impl Statistics {
    /// One over the standard deviation of each channel.
    pub fn inverse_deviation(&self) -> Vec<f32> {
        self.variance.iter().map(|variance| (variance + EPSILON).sqrt().recip()).collect()
    }
}

/// Accumulates statistics picture by picture, while each is still in the CPU cache.
///
/// It sums differences to the first pixel, and adds up the pictures' sums in double precision. A plain sum of squares
/// in single precision would lose the digits of the variance.
#[derive(Debug, Clone)]
pub struct StatisticsAccumulator {
    origin: Vec<f32>,
    sums: Vec<f64>,
    squares: Vec<f64>,
    pixels: usize,
}

impl StatisticsAccumulator {
    /// Starts with no pictures. `first` is any pixel of the chunk; differences are taken to it.
    pub fn new(first: &[f32]) -> Self {
        let zeros = vec![0.0; first.len()];
        Self { origin: first.to_vec(), sums: zeros.clone(), squares: zeros, pixels: 0 }
    }

    /// Adds one picture, `[pixels, channels]`.
    pub fn add(&mut self, picture: &[f32]) {
        let channels = self.origin.len();
        self.pixels += picture.len() / channels;
        if channels.is_multiple_of(LANES) {
            self.add_by::<LANES>(picture);
        } else {
            self.add_by::<1>(picture);
        }
    }

    fn add_by<const N: usize>(&mut self, picture: &[f32]) {
        let channels = self.origin.len();
        for group in 0..channels / N {
            let origin = lanes::<N>(&self.origin, group * N);
            let (sum, square) = vectorised(
                #[inline(always)]
                || {
                    let (mut sum, mut square) = ([0.0; N], [0.0; N]);
                    for pixel in picture.chunks_exact(channels) {
                        let z = lanes::<N>(pixel, group * N);
                        for lane in 0..N {
                            let distance = z[lane] - origin[lane];
                            sum[lane] += distance;
                            square[lane] += distance * distance;
                        }
                    }
                    (sum, square)
                },
            );
            for lane in 0..N {
                self.sums[group * N + lane] += f64::from(sum[lane]);
                self.squares[group * N + lane] += f64::from(square[lane]);
            }
        }
    }

    /// The statistics of all added pictures.
    pub fn finish(self) -> Statistics {
        let share = 1.0 / self.pixels as f64;
        let mut statistics = Statistics::default();
        for ((origin, sum), square) in self.origin.iter().zip(&self.sums).zip(&self.squares) {
            let distance = sum * share;
            statistics.mean.push((f64::from(*origin) + distance) as f32);
            statistics.variance.push((square * share - distance * distance).max(0.0) as f32);
        }
        statistics
    }
}

/// The batch norm of one chunk of pictures.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm<'a> {
    /// The chunk's statistics.
    pub statistics: &'a Statistics,
    /// The shift of each channel.
    pub beta: &'a [f32],
}

impl BatchNorm<'_> {
    /// Normalises, shifts and rectifies `z` into `y`; both are `[pixels, channels]`.
    pub fn forward(&self, z: &[f32], y: &mut [f32]) {
        let channels = self.beta.len();
        let (scale, shift) = self.scale_and_shift();
        vectorised(
            #[inline(always)]
            || {
                for (z, y) in z.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                    for (((z, y), scale), shift) in z.iter().zip(y).zip(&scale).zip(&shift) {
                        *y = (z * scale + shift).max(0.0);
                    }
                }
            },
        );
    }

    /// Backward pass of [`BatchNorm::forward`]. `g` holds the gradient of the output, and is replaced by the gradient
    /// of `z`. The gradient of `beta` is added to `beta_gradient`.
    pub fn backward(&self, z: &[f32], g: &mut [f32], beta_gradient: &mut [f32]) {
        let channels = self.beta.len();
        let (scale, shift) = self.scale_and_shift();
        let mut sums = Sums { gradient: vec![0.0; channels], product: vec![0.0; channels] };
        // Block by block, so that a block stays in the L1 cache while all its channels are summed.
        for (z, g) in z.chunks(BLOCK * channels).zip(g.chunks(BLOCK * channels)) {
            if channels.is_multiple_of(LANES) {
                self.add_sums::<LANES>(z, g, (&scale, &shift), &mut sums);
            } else {
                self.add_sums::<1>(z, g, (&scale, &shift), &mut sums);
            }
        }
        let pixels = (z.len() / channels) as f32;
        // dz = scale (g - mean(g) - normal × mean(g × normal)), written as passed × scale + z × slope + constant.
        let (mut slope, mut constant) = (vec![0.0; channels], vec![0.0; channels]);
        for channel in 0..channels {
            beta_gradient[channel] += sums.gradient[channel];
            slope[channel] = -sums.product[channel] * scale[channel].powi(3) / pixels;
            constant[channel] = -sums.gradient[channel] * scale[channel] / pixels
                - slope[channel] * self.statistics.mean[channel];
        }
        vectorised(
            #[inline(always)]
            || {
                for (z, g) in z.chunks_exact(channels).zip(g.chunks_exact_mut(channels)) {
                    let lines = scale.iter().zip(&shift).zip(slope.iter().zip(&constant));
                    for ((z, g), ((scale, shift), (slope, constant))) in z.iter().zip(g).zip(lines) {
                        let passed = if z * scale + shift > 0.0 { *g } else { 0.0 };
                        *g = passed * scale + (z * slope + constant);
                    }
                }
            },
        );
    }

    /// Scale and shift of each channel, so that `y = max(0, z × scale + shift)`.
    fn scale_and_shift(&self) -> (Vec<f32>, Vec<f32>) {
        let scale = self.statistics.inverse_deviation();
        let parameters = scale.iter().zip(self.beta).zip(&self.statistics.mean);
        let shift = parameters.map(|((scale, beta), mean)| beta - mean * scale).collect();
        (scale, shift)
    }

    /// Adds the sums over one block of pixels.
    fn add_sums<const N: usize>(&self, z: &[f32], g: &[f32], line: (&[f32], &[f32]), sums: &mut Sums) {
        let channels = self.beta.len();
        for first in (0..channels).step_by(N) {
            let mean = lanes::<N>(&self.statistics.mean, first);
            let (scale, shift) = (lanes::<N>(line.0, first), lanes::<N>(line.1, first));
            let (gradient, product) = vectorised(
                #[inline(always)]
                || {
                    let (mut gradient, mut product) = ([0.0; N], [0.0; N]);
                    for (z, g) in z.chunks_exact(channels).zip(g.chunks_exact(channels)) {
                        let (z, g) = (lanes::<N>(z, first), lanes::<N>(g, first));
                        for lane in 0..N {
                            let passed =
                                if z[lane] * scale[lane] + shift[lane] > 0.0 { g[lane] } else { 0.0 };
                            gradient[lane] += passed;
                            product[lane] += passed * (z[lane] - mean[lane]);
                        }
                    }
                    (gradient, product)
                },
            );
            for lane in 0..N {
                sums.gradient[first + lane] += gradient[lane];
                sums.product[first + lane] += product[lane];
            }
        }
    }
}

/// Number of pixels that are summed before the sum is added to the total: few enough for single precision, and for the
/// L1 cache.
const BLOCK: usize = 64;

/// Sums over a chunk's pixels, one for each channel. They count the gradient only where the rectifier passes it.
struct Sums {
    /// Sums of the gradient.
    gradient: Vec<f32>,
    /// Sums of the gradient times `z - mean`.
    product: Vec<f32>,
}

/// The values of `N` neighbouring channels of a pixel.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]
fn lanes<const N: usize>(pixel: &[f32], first: usize) -> [f32; N] {
    let mut lanes = [0.0; N];
    lanes.copy_from_slice(&pixel[first..first + N]);
    lanes
}
