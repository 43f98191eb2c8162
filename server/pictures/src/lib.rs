//! Pictures as arrays: decoding, and what a model is shown of them.
//!
//! Everything here is pure: bytes and arrays in, arrays out.
//!
//! - [`decode`](mod@decode) reads PNG, JPEG, WebP, GIF and BMP within a limit of pixels, which the head of a file must
//!   keep before anything is allocated.
//! - [`mnist`] shows digits, drawn or photographed, to a model that learned from MNIST.
//! - [`rgb`] shows pictures to a model that learned from `ImageNet` or the like.

pub mod decode;
pub mod mnist;
pub mod rgb;

pub use decode::{DecodeError, Limits, decode};

/// `[row, column, channel]`: red, green, blue, alpha, 0 to 255.
pub type Rgba = ndarray::Array3<u8>;
