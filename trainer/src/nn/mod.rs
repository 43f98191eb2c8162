//! The network: layers, their gradients, and how they are put together.
//!
//! Floors, lowest first: `matmul`; the layers; `architecture`; `network` (training) and `folded` (inference).
//! Layers are plain functions over slices: pictures are `[row, column, channel]`, weights are given and
//! gradients handed back by whoever calls, nothing is kept inside.
//!
//! Data sets, answers and weights that other modules see are `ndarray` arrays; the layers stay on slices. Their
//! loops are compiled for the widest vectors of the processor, which takes slices whose length is known before
//! the loop, and their products are `faer`'s, whose kernels for AVX-512 `ndarray`'s own products do not have.

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
