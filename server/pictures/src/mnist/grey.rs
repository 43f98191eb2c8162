//! Converts colours and transparency to grey, and shrinks large pictures.

use ndarray::{Array2, ArrayView3, Axis};

use super::{Plane, surface};

/// Longest side of a picture after shrinking, in pixels. Finer detail would be lost in a box of 20 pixels anyway. A
/// strip of many digits may be longer, but has no more pixels than a square of this side.
const LONGEST: usize = 640;

/// Weights of red, green and blue for brightness (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Approximate number of pixels in the sample from which colours are analysed.
const SAMPLES: usize = 2048;

/// A picture in grey, 0 to 255.
pub(super) struct Grey {
    pub(super) plane: Plane,
    /// Factor by which the picture was shrunk: the side of the square of pixels that one value averages.
    pub(super) factor: usize,
}

/// The conversion of colours to grey: a weighted sum plus an offset.
#[derive(Clone, Copy)]
struct Weights {
    channels: [f32; 3],
    offset: f32,
}

pub(super) fn grey(picture: &ArrayView3<'_, u8>) -> Grey {
    let standard = picture.as_standard_layout();
    let (rows, columns, _) = standard.dim();
    let bytes = standard.as_slice().unwrap_or_default();
    let factor = surface::square((rows, columns), LONGEST, LONGEST * LONGEST);
    let (pixels, _) = bytes.as_chunks::<4>();
    // In blocks of 64, which the compiler turns into vector instructions.
    let opaque = pixels.chunks(64).all(|part| part.iter().fold(255, |all, pixel| all & pixel[3]) == 255);
    let weights = weights(pixels);
    let background = if opaque { 0.0 } else { behind(pixels, weights) };
    // Extracts a channel by shifting the pixel as one 32-bit number, which the compiler can vectorise.
    let channel = |pixel: &[u8; 4], shift: u32| (u32::from_le_bytes(*pixel) >> shift & 0xff) as i32 as f32;
    let [red, green, blue] = weights.channels;
    let value = |pixel: &[u8; 4]| {
        channel(pixel, 0) * red + channel(pixel, 8) * green + channel(pixel, 16) * blue + weights.offset
    };
    let flat =
        |pixel: &[u8; 4]| background + (value(pixel) - background) * channel(pixel, 24) * (1.0 / 255.0);
    let convert = |line: &[[u8; 4]], out: &mut [f32]| {
        if opaque {
            out.iter_mut().zip(line).for_each(|(out, pixel)| *out = value(pixel));
        } else {
            out.iter_mut().zip(line).for_each(|(out, pixel)| *out = flat(pixel));
        }
    };
    let plane = if factor == 1 {
        let mut plane = Array2::zeros((rows, columns));
        for (mut out, line) in plane.axis_iter_mut(Axis(0)).zip(pixels.chunks_exact(columns)) {
            if let Some(out) = out.as_slice_mut() {
                convert(line, out);
            }
        }
        plane
    } else {
        shrink(pixels, (rows, columns), factor, convert)
    };
    Grey { plane, factor }
}

/// Averages squares of `factor` x `factor` pixels. The squares at the right and bottom edges may be smaller.
fn shrink(
    pixels: &[[u8; 4]],
    (rows, columns): (usize, usize),
    factor: usize,
    convert: impl Fn(&[[u8; 4]], &mut [f32]),
) -> Plane {
    let mut plane = Array2::zeros((rows.div_ceil(factor), columns.div_ceil(factor)));
    let mut line = vec![0.0; columns];
    let mut sums = vec![0.0; columns];
    let bands = pixels.chunks(columns * factor);
    for (mut out, band) in plane.axis_iter_mut(Axis(0)).zip(bands) {
        sums.fill(0.0);
        for row in band.chunks_exact(columns) {
            convert(row, &mut line);
            sums.iter_mut().zip(&line).for_each(|(sum, value)| *sum += value);
        }
        let lines = (band.len() / columns) as f32;
        for (out, part) in out.iter_mut().zip(sums.chunks(factor)) {
            *out = part.iter().sum::<f32>() / (part.len() as f32 * lines);
        }
    }
    plane
}

/// A sample of the pixels that are not fully transparent.
fn sample(pixels: &[[u8; 4]]) -> impl Iterator<Item = &[u8; 4]> {
    // The step is odd: an even one could hit the same columns in each row.
    let step = (pixels.len() / SAMPLES) | 1;
    pixels.iter().step_by(step).filter(|pixel| pixel[3] > 0)
}

/// The weights of brightness. If the colours hardly differ in brightness, the weights of the direction in which they
/// differ most (their first principal component).
fn weights(pixels: &[[u8; 4]]) -> Weights {
    let luma = Weights { channels: LUMA, offset: 0.0 };
    let is_grey = |&[red, green, blue, _]: &[u8; 4]| red.abs_diff(green).max(green.abs_diff(blue)) <= 4;
    if sample(pixels).all(is_grey) {
        return luma;
    }
    let mut count = 0.0_f32;
    let mut sums = [0.0_f32; 3];
    let mut products = [[0.0_f32; 3]; 3];
    for pixel in sample(pixels).filter(|pixel| pixel[3] > 127) {
        let colour = [pixel[0], pixel[1], pixel[2]].map(|value| f32::from(value) / 255.0);
        count += 1.0;
        for (i, a) in colour.iter().enumerate() {
            sums[i] += a;
            for (j, b) in colour.iter().enumerate() {
                products[i][j] += a * b;
            }
        }
    }
    if count < 16.0 {
        return luma;
    }
    let mean = sums.map(|sum| sum / count);
    let mut covariance = products;
    for (i, line) in covariance.iter_mut().enumerate() {
        for (j, value) in line.iter_mut().enumerate() {
            *value = *value / count - mean[i] * mean[j];
        }
    }
    let apply = |vector: [f32; 3]| {
        covariance.map(|line| line.iter().zip(vector).map(|(value, x)| value * x).sum::<f32>())
    };
    let dot = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    // The direction of the largest variance, by power iteration.
    let mut axis = [0.8, -0.5, 0.3];
    for _ in 0..24 {
        let next = apply(axis);
        let length = dot(next, next).sqrt();
        if length < 1e-9 {
            return luma;
        }
        axis = next.map(|value| value / length);
    }
    let along = dot(axis, apply(axis));
    let bright = dot(LUMA, apply(LUMA)) / dot(LUMA, LUMA);
    // A deviation below 8 of 255 levels is a camera's colour noise.
    if bright > 0.2 * along || along.sqrt() < 8.0 / 255.0 {
        return luma;
    }
    let length = axis.iter().map(|value| value.abs()).sum::<f32>();
    let channels = axis.map(|value| value / length);
    let lowest = channels.iter().filter(|&&value| value < 0.0).sum::<f32>();
    Weights { channels, offset: -255.0 * lowest }
}

/// The grey value to put behind transparent pixels.
///
/// If the visible pixels have one tone, they are ink, and the value is black or white, whichever contrasts more. If
/// they have two tones, they are paper with ink, and the value is that of the paper.
fn behind(pixels: &[[u8; 4]], weights: Weights) -> f32 {
    let mut mass = 0.0_f32;
    let mut sum = 0.0_f32;
    let mut squares = 0.0_f32;
    let mut tones = [0.0_f32; 32];
    for pixel in sample(pixels) {
        let alpha = f32::from(pixel[3]) / 255.0;
        let tone = (0..3).map(|channel| f32::from(pixel[channel]) * weights.channels[channel]).sum::<f32>()
            + weights.offset;
        mass += alpha;
        sum += alpha * tone;
        squares += alpha * tone * tone;
        tones[((tone / 8.0) as usize).min(31)] += alpha;
    }
    if mass <= 0.0 {
        return 255.0;
    }
    let mean = sum / mass;
    let deviation = (squares / mass - mean * mean).max(0.0).sqrt();
    if deviation > 40.0 {
        let fullest = (0..32).max_by(|&a, &b| tones[a].total_cmp(&tones[b])).unwrap_or(31);
        return (fullest as f32 * 8.0 + 4.0).min(255.0);
    }
    if mean < 160.0 { 255.0 } else { 0.0 }
}
