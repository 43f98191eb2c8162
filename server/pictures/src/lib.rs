//! Pictures as arrays: decoding, and what a model is shown of them.
//!
//! Everything here is pure: bytes and arrays in, arrays out.

pub mod decode;
pub mod mnist;
pub mod rgb;

pub use decode::{DecodeError, Limits, decode};

/// `[row, column, channel]`: red, green, blue, alpha, 0 to 255.
pub type Rgba = ndarray::Array3<u8>;
