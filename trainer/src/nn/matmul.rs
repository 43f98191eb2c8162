//! Matrix products. No other module uses the linear algebra library.
//!
//! faer chooses its kernels (AVX-512, AVX2, portable) at run time. The calling thread computes each product alone, so
//! that the result does not depend on the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// What a product does with the previous content of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Overwrite it.
    Replace,
    /// Add to it.
    Add,
}

/// A read-only row-major matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    view: MatRef<'a, f32>,
}

impl<'a> Matrix<'a> {
    /// A matrix of `rows` × `columns` without gaps between rows.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { view: MatRef::from_row_major_slice(&data[..rows * columns], rows, columns) }
    }

    /// The same numbers with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { view: self.view.transpose() }
    }
}

/// Writes or adds `left` × `right` to `out`, a row-major matrix without gaps between rows.
///
/// # Panics
/// When the three shapes do not match.
pub fn multiply(out: &mut [f32], into: Destination, left: Matrix<'_>, right: Matrix<'_>) {
    let (rows, columns) = (left.view.nrows(), right.view.ncols());
    let accumulate = match into {
        Destination::Replace => Accum::Replace,
        Destination::Add => Accum::Add,
    };
    let out = MatMut::from_row_major_slice_mut(&mut out[..rows * columns], rows, columns);
    matmul(out, accumulate, left.view, right.view, 1.0, Par::Seq);
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "products of small numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_product_can_replace_what_is_there() {
        let left = [1.0, 2.0, 3.0, 4.0];
        let right = [1.0, 10.0];
        let mut out = [7.0; 2];
        multiply(&mut out, Destination::Replace, Matrix::new(&left, 2, 2), Matrix::new(&right, 2, 1));
        assert_eq!(out, [21.0, 43.0]);
    }

    #[test]
    fn a_transposed_product_can_add_to_what_is_there() {
        let left = [1.0, 2.0, 3.0, 4.0]; // columns (1, 3) and (2, 4)
        let right = [1.0, 1.0];
        let mut out = [0.5, 0.5];
        multiply(
            &mut out,
            Destination::Add,
            Matrix::new(&left, 2, 2).transposed(),
            Matrix::new(&right, 2, 1),
        );
        assert_eq!(out, [4.5, 6.5]);
    }
}
