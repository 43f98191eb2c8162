//! Decodes pictures and turns them into the input arrays of models.
//!
//! All functions are pure: bytes and arrays in, arrays out.
//!
//! - [`decode`](mod@decode) decodes PNG, JPEG, WebP, GIF and BMP. It checks the number of pixels in the file's header
//!   before it allocates memory.
//! - [`mnist`] prepares digits, drawn or photographed, for models that were trained on MNIST.
//! - [`rgb`] prepares pictures for models that were trained on `ImageNet` or similar data.

pub mod decode;
pub mod mnist;
pub mod rgb;

pub use decode::{DecodeError, Limits, decode};

/// A decoded picture, `[row, column, channel]`. The channels are red, green, blue and alpha, 0 to 255.
pub type Rgba = ndarray::Array3<u8>;
