//! The network: its layers and their gradients.
//!
//! Floors, lowest first: `matmul`; the layers; `architecture`; `network` (training) and `folded` (inference).
//! Layers are plain functions over slices and keep no state: the caller holds weights and gradients. Pictures are
//! `[row, column, channel]`.
//!
//! Other modules see data sets, answers and weights as `ndarray` arrays. The layers work on slices for two reasons.
//! Their loops are compiled for the CPU's widest vectors, which needs slices of a length known before the loop. Their
//! matrix products are those of `faer`, which has AVX-512 kernels; `ndarray` has none.

pub mod architecture;
pub mod batch_norm;
pub mod conv;
pub mod dense;
pub mod folded;
pub mod loss;
pub mod matmul;
pub mod network;
pub mod pool;
mod workspace;

#[cfg(test)]
mod gradient_tests;
