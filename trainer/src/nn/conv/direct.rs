//! Direct convolution of a picture of one channel, pixel by pixel. With nine values under the kernel, a matrix product
//! would not be faster.
#![expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]

use super::{Conv, KERNEL, TAPS};
use crate::simd::{Lanes, Simd, WithSimd, with_lanes};

/// Number of values in a picture with zero padding.
pub(super) fn padded_len(side: usize) -> usize {
    (side + KERNEL - 1).pow(2)
}

/// Convolves the picture `x` into `z`.
pub(super) fn forward(conv: &Conv, weights: &[f32], x: &[f32], z: &mut [f32], padded: &mut [f32]) {
    pad(conv.side, x, padded);
    with_lanes(conv.outputs, Forward { conv, weights, padded, z });
}

/// Adds the gradient of the weights to `weight_gradient`.
pub(super) fn backward(conv: &Conv, x: &[f32], dz: &[f32], weight_gradient: &mut [f32], padded: &mut [f32]) {
    pad(conv.side, x, padded);
    with_lanes(conv.outputs, BackwardWeights { conv, padded, dz, weight_gradient });
}

/// Writes the gradient of `x`. It is not optimised: only input pictures have one channel, and training needs no
/// gradient of the input.
pub(super) fn backward_input(conv: &Conv, weights: &[f32], dz: &[f32], dx: &mut [f32], padded: &mut [f32]) {
    padded.fill(0.0);
    let pitch = conv.side + KERNEL - 1;
    for (pixel, dz) in dz.chunks_exact(conv.outputs).enumerate() {
        let corner = pixel / conv.side * pitch + pixel % conv.side;
        for (tap, weights) in weights.chunks_exact(conv.outputs).enumerate() {
            let sum: f32 = weights.iter().zip(dz).map(|(weight, dz)| weight * dz).sum();
            padded[corner + tap / KERNEL * pitch + tap % KERNEL] += sum;
        }
    }
    let rows = padded.chunks_exact(pitch).skip(KERNEL / 2);
    for (to, from) in dx.chunks_exact_mut(conv.side).zip(rows) {
        to.copy_from_slice(&from[KERNEL / 2..][..conv.side]);
    }
}

/// Copies a picture into the middle of `padded`, with zeros around it.
fn pad(side: usize, picture: &[f32], padded: &mut [f32]) {
    padded.fill(0.0);
    let rows = padded.chunks_exact_mut(side + KERNEL - 1).skip(KERNEL / 2);
    for (to, from) in rows.zip(picture.chunks_exact(side)) {
        to[KERNEL / 2..][..side].copy_from_slice(from);
    }
}

struct Forward<'a> {
    conv: &'a Conv,
    weights: &'a [f32],
    padded: &'a [f32],
    z: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { conv: Conv { side, outputs, .. }, weights, padded, z } = self;
        for first in (0..*outputs).step_by(Lanes::<S>::COUNT) {
            let mut kernel = [Lanes::splat(simd, 0.0); TAPS];
            for (tap, weights) in kernel.iter_mut().zip(weights.chunks_exact(*outputs)) {
                *tap = Lanes::load(simd, weights, first);
            }
            for (row, z) in z.chunks_exact_mut(side * outputs).enumerate() {
                let lines = lines(*side, padded, row);
                for (column, z) in z.chunks_exact_mut(*outputs).enumerate() {
                    let mut sum = Lanes::splat(simd, 0.0);
                    for (tap, x) in kernel.into_iter().zip(neighbours(lines, column)) {
                        sum = sum.plus(Lanes::splat(simd, x), tap);
                    }
                    sum.store(z, first);
                }
            }
        }
    }
}

struct BackwardWeights<'a> {
    conv: &'a Conv,
    padded: &'a [f32],
    dz: &'a [f32],
    weight_gradient: &'a mut [f32],
}

impl WithSimd for BackwardWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { conv: Conv { side, outputs, .. }, padded, dz, weight_gradient } = self;
        for first in (0..*outputs).step_by(Lanes::<S>::COUNT) {
            let mut sums = [Lanes::splat(simd, 0.0); TAPS];
            for (row, dz) in dz.chunks_exact(side * outputs).enumerate() {
                let lines = lines(*side, padded, row);
                for (column, dz) in dz.chunks_exact(*outputs).enumerate() {
                    let dz = Lanes::load(simd, dz, first);
                    for (sum, x) in sums.iter_mut().zip(neighbours(lines, column)) {
                        *sum = sum.plus(Lanes::splat(simd, x), dz);
                    }
                }
            }
            for (sum, gradient) in sums.into_iter().zip(weight_gradient.chunks_exact_mut(*outputs)) {
                (Lanes::load(simd, gradient, first) + sum).store(gradient, first);
            }
        }
    }
}

/// The three rows of the padded picture that the kernel covers at output row `row`.
#[inline(always)]
fn lines(side: usize, padded: &[f32], row: usize) -> [&[f32]; KERNEL] {
    let pitch = side + KERNEL - 1;
    let mut lines = [padded; KERNEL];
    for (index, line) in (row..).zip(&mut lines) {
        *line = &padded[index * pitch..][..pitch];
    }
    lines
}

/// The nine values that the kernel covers at output column `column`.
#[inline(always)]
fn neighbours(lines: [&[f32]; KERNEL], column: usize) -> [f32; TAPS] {
    let mut neighbours = [0.0; TAPS];
    for (to, line) in neighbours.chunks_exact_mut(KERNEL).zip(lines) {
        to.copy_from_slice(&line[column..][..KERNEL]);
    }
    neighbours
}
