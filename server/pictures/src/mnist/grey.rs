//! One grey out of colours and transparency, and a large picture made smaller.

use ndarray::{Array2, ArrayView3, Axis};

use super::{Plane, surface};

/// Longest side of a picture, in pixels, after the first step. Finer detail would be lost in a box of 20 anyway. A strip
/// of many digits may be longer, but has no more pixels than a square of this side.
const LONGEST: usize = 640;

/// Weights of red, green and blue in brightness (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// How many pixels are looked at before their colours are weighed.
const SAMPLES: usize = 2048;

/// A picture in grey, 0 to 255.
pub(super) struct Grey {
    pub(super) plane: Plane,
    /// Pixels of the picture along a side of one of the plane.
    pub(super) factor: usize,
}

/// A grey value as a weighted sum of colours.
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
    // many at a time, which the compiler turns into vector instructions
    let opaque = pixels.chunks(64).all(|part| part.iter().fold(255, |all, pixel| all & pixel[3]) == 255);
    let weights = weights(pixels);
    let ground = if opaque { 0.0 } else { behind(pixels, weights) };
    // a pixel as one number: its channels part by shifts, for several pixels at once
    let channel = |pixel: &[u8; 4], shift: u32| (u32::from_le_bytes(*pixel) >> shift & 0xff) as i32 as f32;
    let [red, green, blue] = weights.channels;
    let value = |pixel: &[u8; 4]| {
        channel(pixel, 0) * red + channel(pixel, 8) * green + channel(pixel, 16) * blue + weights.offset
    };
    let flat = |pixel: &[u8; 4]| ground + (value(pixel) - ground) * channel(pixel, 24) * (1.0 / 255.0);
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

/// Averages squares of `factor` x `factor` pixels; those at the right and at the bottom may be cut.
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

/// A sample of the pixels that can be seen.
fn sample(pixels: &[[u8; 4]]) -> impl Iterator<Item = &[u8; 4]> {
    // An odd step: an even one could hit the same columns of every row.
    let step = (pixels.len() / SAMPLES) | 1;
    pixels.iter().step_by(step).filter(|pixel| pixel[3] > 0)
}

/// Brightness, unless ink and ground hardly differ in it: then the direction in which the colours differ most.
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
    // the largest variance of any direction, by power iteration
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
    // 8 of 255 levels: less is the noise of a camera's colours
    if bright > 0.2 * along || along.sqrt() < 8.0 / 255.0 {
        return luma;
    }
    let length = axis.iter().map(|value| value.abs()).sum::<f32>();
    let channels = axis.map(|value| value / length);
    let lowest = channels.iter().filter(|&&value| value < 0.0).sum::<f32>();
    Weights { channels, offset: -255.0 * lowest }
}

/// The grey to put behind what is transparent.
///
/// A transparent ground with ink on it gets the tone that shows the ink best. Where what can be seen has two tones of
/// its own, it is paper with ink on it, and its paper goes on.
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
