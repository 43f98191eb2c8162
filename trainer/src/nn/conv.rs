//! A 3×3 convolution with "same" padding and no bias (the batch norm after it brings the shift).
//!
//! Pictures are `[side, side, channels]`. Before a product they are unfolded, in one of two ways:
//!
//! - Of many channels: laid out with a border of zeros and a pitch of `side + 1` pixels; the zero after a row is
//!   also the one before the next. There the three neighbours of a pixel in a row lie side by side, so that each
//!   kernel row is one product over overlapping rows, and the convolution is three products that read the
//!   picture in place. The price is one product row in `side + 1` that means nothing and is left behind.
//! - Of one channel: the nine neighbours of each pixel in a row of their own. Three numbers would be too few for
//!   a product, and nine are few enough to copy.

use super::matmul::{Destination, Matrix, multiply};

/// Rows and columns of the kernel.
const KERNEL: usize = 3;
/// Pixels under the kernel.
const TAPS: usize = KERNEL * KERNEL;

/// The shape of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Rows and columns of the picture, in and out.
    pub side: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub outputs: usize,
}

/// Memory that a convolution needs for one picture; its border stays zero from one picture to the next.
#[derive(Debug, Clone)]
pub struct Scratch {
    output: Vec<f32>,
    padded_gradient: Vec<f32>,
    input_gradient: Vec<f32>,
}

impl Conv {
    /// Number of weights, laid out `[kernel row, kernel column, input, output]`.
    pub fn weights(&self) -> usize {
        TAPS * self.inputs * self.outputs
    }

    /// Numbers in one output picture.
    pub fn output_len(&self) -> usize {
        self.side * self.side * self.outputs
    }

    /// Numbers in one input picture.
    pub fn input_len(&self) -> usize {
        self.side * self.side * self.inputs
    }

    /// Numbers in one unfolded input picture.
    pub fn unfolded_len(&self) -> usize {
        if self.inputs == 1 { self.side * self.side * TAPS } else { self.padded_pixels() * self.inputs }
    }

    /// Memory for one picture.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            output: vec![0.0; self.product_rows() * self.outputs],
            padded_gradient: vec![0.0; self.padded_pixels() * self.outputs],
            input_gradient: vec![0.0; self.product_rows() * self.inputs],
        }
    }

    /// Convolves one picture `x` into `z`, and leaves `x` unfolded in `unfolded` for the way back.
    ///
    /// `unfolded` must be zeros, or what an earlier call left there.
    pub fn forward(
        &self,
        weights: &[f32],
        x: &[f32],
        z: &mut [f32],
        unfolded: &mut [f32],
        scratch: &mut Scratch,
    ) {
        if self.inputs == 1 {
            self.copy_neighbours(x, unfolded);
            let neighbours = Matrix::new(unfolded, x.len(), TAPS);
            multiply(z, Destination::Replace, neighbours, Matrix::new(weights, TAPS, self.outputs));
        } else {
            self.pad(x, self.inputs, unfolded);
            self.correlate(unfolded, self.inputs, weights, self.outputs, &mut scratch.output);
            self.unpitch(&scratch.output, self.outputs, z);
        }
    }

    /// Adds the gradient of the weights to `weight_gradient` and, where asked for, writes that of `x`.
    ///
    /// Takes one picture.
    pub fn backward(&self, pass: Backward<'_>, weight_gradient: &mut [f32], scratch: &mut Scratch) {
        let Backward { mirrored, unfolded, dz, dx } = pass;
        if self.inputs == 1 {
            let pixels = self.side * self.side;
            let neighbours = Matrix::new(unfolded, pixels, TAPS).transposed();
            multiply(weight_gradient, Destination::Add, neighbours, Matrix::new(dz, pixels, self.outputs));
        }
        if self.inputs == 1 && dx.is_none() {
            return;
        }
        self.pad(dz, self.outputs, &mut scratch.padded_gradient);
        if self.inputs > 1 {
            self.add_weight_gradient(unfolded, &scratch.padded_gradient, weight_gradient);
        }
        if let Some(dx) = dx {
            let gradient = &mut scratch.input_gradient;
            self.correlate(&scratch.padded_gradient, self.outputs, mirrored, self.inputs, gradient);
            self.unpitch(gradient, self.inputs, dx);
        }
    }

    fn add_weight_gradient(&self, padded: &[f32], padded_gradient: &[f32], weight_gradient: &mut [f32]) {
        // From the first pixel on, the padded gradient has the layout of the products' rows.
        let centre = (self.pitch() + 1) * self.outputs;
        let rows = self.product_rows();
        let dz = Matrix::new(&padded_gradient[centre..][..rows * self.outputs], rows, self.outputs);
        let per_kernel_row = self.weights() / KERNEL;
        for (row, gradient) in weight_gradient.chunks_exact_mut(per_kernel_row).enumerate() {
            let patches = self.patches(padded, self.inputs, row);
            multiply(gradient, Destination::Add, patches.transposed(), dz);
        }
    }

    /// Writes the weights turned by half a circle, with inputs and outputs exchanged: convolving an output
    /// gradient with them gives the input gradient.
    pub fn mirror(&self, weights: &[f32], mirrored: &mut [f32]) {
        let tap = self.inputs * self.outputs;
        for (from, to) in weights.chunks_exact(tap).zip(mirrored.rchunks_exact_mut(tap)) {
            for (input, row) in from.chunks_exact(self.outputs).enumerate() {
                for (output, &weight) in row.iter().enumerate() {
                    to[output * self.inputs + input] = weight;
                }
            }
        }
    }

    fn pitch(&self) -> usize {
        self.side + 1
    }

    fn padded_pixels(&self) -> usize {
        (self.side + 2) * self.pitch() + 1
    }

    /// Rows of each product: every pixel, and the zero between one picture row and the next.
    fn product_rows(&self) -> usize {
        self.side * self.pitch() - 1
    }

    /// The padded picture as a kernel row sees it: for every pixel its three neighbours in that row.
    fn patches<'a>(&self, padded: &'a [f32], channels: usize, kernel_row: usize) -> Matrix<'a> {
        let first = kernel_row * self.pitch() * channels;
        Matrix::strided(&padded[first..], self.product_rows(), KERNEL * channels, channels)
    }

    fn correlate(&self, padded: &[f32], inputs: usize, weights: &[f32], outputs: usize, out: &mut [f32]) {
        let per_kernel_row = KERNEL * inputs * outputs;
        for (row, weights) in weights.chunks_exact(per_kernel_row).enumerate() {
            let into = if row == 0 { Destination::Replace } else { Destination::Add };
            let weights = Matrix::new(weights, KERNEL * inputs, outputs);
            multiply(out, into, self.patches(padded, inputs, row), weights);
        }
    }

    fn pad(&self, picture: &[f32], channels: usize, padded: &mut [f32]) {
        let first = (self.pitch() + 1) * channels;
        let rows = padded[first..].chunks_mut(self.pitch() * channels);
        for (from, to) in picture.chunks_exact(self.side * channels).zip(rows) {
            to[..from.len()].copy_from_slice(from);
        }
    }

    /// Copies the nine neighbours of every pixel of a picture of one channel; those outside stay zero.
    fn copy_neighbours(&self, picture: &[f32], neighbours: &mut [f32]) {
        let side = self.side;
        for (row, pixels) in neighbours.chunks_exact_mut(side * TAPS).enumerate() {
            for kernel_row in 0..KERNEL {
                let Some(line) = (row + kernel_row).checked_sub(1).filter(|&line| line < side) else {
                    continue;
                };
                let line = &picture[line * side..][..side];
                let at = kernel_row * KERNEL;
                let last = (side - 1) * TAPS + at;
                pixels[at + 1..at + KERNEL].copy_from_slice(&line[..2]);
                pixels[last..last + 2].copy_from_slice(&line[side - 2..]);
                let inner = pixels[TAPS + at..].chunks_mut(TAPS);
                for (taps, seen) in inner.zip(line.array_windows::<KERNEL>()) {
                    taps[..KERNEL].copy_from_slice(seen);
                }
            }
        }
    }

    fn unpitch(&self, pitched: &[f32], channels: usize, picture: &mut [f32]) {
        let rows = picture.chunks_exact_mut(self.side * channels);
        for (to, from) in rows.zip(pitched.chunks(self.pitch() * channels)) {
            to.copy_from_slice(&from[..to.len()]);
        }
    }
}

/// What one picture's backward pass reads, and where its input gradient goes.
#[derive(Debug)]
pub struct Backward<'a> {
    /// The weights as [`Conv::mirror`] makes them.
    pub mirrored: &'a [f32],
    /// What [`Conv::forward`] left of the picture that went in.
    pub unfolded: &'a [f32],
    /// The loss's gradient by what came out.
    pub dz: &'a [f32],
    /// Where the loss's gradient by `x` goes, unless nobody needs it.
    pub dx: Option<&'a mut [f32]>,
}
