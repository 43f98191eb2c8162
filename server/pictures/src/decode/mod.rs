//! Decodes pictures into arrays, within limits.

mod bytes;
mod format;
mod frames;
mod head;
mod jpeg;

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError,
    codecs::{bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
};
use ndarray::Array3;
use thiserror::Error;

pub use format::Format;

use crate::Rgba;

/// Limits on a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of pixels: width times height. Decoding needs at most about 16 bytes per pixel while it runs; the
    /// result has 4.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 4096 x 4096 pixels: more than the 12 megapixels of a phone's camera.
    fn default() -> Self {
        Self { max_pixels: 1 << 24 }
    }
}

/// Why bytes cannot be decoded as a picture.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the picture is empty: it has no bytes")]
    Empty,
    /// The format is not supported.
    #[error("{what} is not supported: send a PNG, JPEG, WebP, GIF or BMP")]
    Unsupported {
        /// What the bytes seem to be, such as "a PDF document".
        what: &'static str,
    },
    /// The header says that the picture has more pixels than the limit.
    #[error("the picture has {width} x {height} pixels, more than the limit of {limit}: make it smaller")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Largest number of pixels.
        limit: u64,
    },
    /// The file is incomplete or violates the rules of its format.
    #[error("the {format} is broken or cut off: {reason}")]
    Broken {
        /// The format of the file, by its first bytes.
        format: Format,
        /// The decoder's message.
        reason: String,
    },
}

/// Width and height of a picture, read from its header. Allocates nothing.
///
/// If the EXIF orientation turns the picture by 90 degrees, the decoded picture has width and height swapped.
///
/// # Errors
/// When the bytes are empty, have an unsupported format, or an incomplete header.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    let format = Format::of(bytes)?;
    head::dimensions(format, bytes)
}

/// Decodes the first frame of a picture, and turns it by its EXIF orientation.
///
/// # Errors
/// When the format is not supported, the picture has more pixels than the limit, or it is damaged.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgba, DecodeError> {
    let format = Format::of(bytes)?;
    let broken = |reason: String| DecodeError::Broken { format, reason };
    let size = head::dimensions(format, bytes)?;
    check(size, *limits)?;
    if let Some(reason) = frames::refuse(format, bytes, size, limits.max_pixels) {
        return Err(broken(reason));
    }
    if format == Format::Jpeg && !jpeg::has_end(bytes) {
        let reason = "its end marker is missing, so the file may be incomplete: send the whole file";
        return Err(broken(reason.to_owned()));
    }
    let broken_by = |error: ImageError| broken(reason(&error));
    let mut decoder = open(format, bytes, *limits).map_err(broken_by)?;
    if decoder.dimensions() != size {
        let (width, height) = decoder.dimensions();
        return Err(broken(format!(
            "it has {width} x {height} pixels, but its header says {} x {}",
            size.0, size.1
        )));
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken_by)?;
    picture.apply_orientation(orientation);
    let picture = picture.into_rgba8();
    let shape = (picture.height() as usize, picture.width() as usize, 4);
    Array3::from_shape_vec(shape, picture.into_raw()).map_err(|error| broken(error.to_string()))
}

fn check((width, height): (u32, u32), limits: Limits) -> Result<(), DecodeError> {
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(DecodeError::TooLarge { width, height, limit: limits.max_pixels });
    }
    Ok(())
}

fn open<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: Limits,
) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    let reader = Cursor::new(bytes);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.max_pixels.saturating_mul(16).saturating_add(1 << 20));
    let mut decoder: Box<dyn ImageDecoder + 'a> = match format {
        Format::Png => Box::new(PngDecoder::with_limits(reader, bounds.clone())?),
        Format::Jpeg => Box::new(JpegDecoder::new(reader)?),
        Format::WebP => Box::new(WebPDecoder::new(reader)?),
        Format::Gif => Box::new(GifDecoder::new(reader)?),
        Format::Bmp => Box::new(BmpDecoder::new(reader)?),
    };
    decoder.set_limits(bounds)?;
    Ok(decoder)
}

/// The decoder's message without its preamble.
fn reason(error: &ImageError) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
