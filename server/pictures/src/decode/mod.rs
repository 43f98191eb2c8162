//! Encoded pictures become arrays, within bounds.

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

/// How much a picture may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width times height. Decoding takes at most about 16 bytes a pixel while it runs, and 4 when it is done.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 4096 x 4096: more than the 12 megapixels that phones' cameras write.
    fn default() -> Self {
        Self { max_pixels: 1 << 24 }
    }
}

/// Why bytes are no picture.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the picture is empty: it has no bytes")]
    Empty,
    /// Not one of the formats that are read.
    #[error("{what} is not supported: send a PNG, JPEG, WebP, GIF or BMP")]
    Unsupported {
        /// What the bytes seem to be.
        what: &'static str,
    },
    /// More pixels than the limit, by what the head says.
    #[error("the picture has {width} x {height} pixels, more than the limit of {limit}: make it smaller")]
    TooLarge {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Most pixels.
        limit: u64,
    },
    /// Cut off, or against the rules of its format.
    #[error("the {format} is broken or cut off: {reason}")]
    Broken {
        /// The format that the first bytes name.
        format: Format,
        /// What the decoder says.
        reason: String,
    },
}

/// Width and height of a picture as its head says, without decoding: nothing is allocated.
///
/// A picture that is turned by its EXIF orientation has them the other way round once it is decoded.
///
/// # Errors
/// Bytes that are empty, of another format, or have no whole head.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    let format = Format::of(bytes)?;
    head::dimensions(format, bytes)
}

/// Decodes the first frame of a picture and turns it the way that its EXIF orientation says.
///
/// # Errors
/// Bytes that are no picture of a format that is read, more pixels than the limit, or a broken picture.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgba, DecodeError> {
    let format = Format::of(bytes)?;
    let broken = |reason: String| DecodeError::Broken { format, reason };
    let size = head::dimensions(format, bytes)?;
    check(size, *limits)?;
    if let Some(reason) = frames::refuse(format, bytes, size, limits.max_pixels) {
        return Err(broken(reason));
    }
    if format == Format::Jpeg && !jpeg::has_end(bytes) {
        let reason = "its end marker is missing, so some of the picture may be: send the whole file";
        return Err(broken(reason.to_owned()));
    }
    let broken_by = |error: ImageError| broken(reason(&error));
    let mut decoder = open(format, bytes, *limits).map_err(broken_by)?;
    if decoder.dimensions() != size {
        let (width, height) = decoder.dimensions();
        return Err(broken(format!(
            "it has {width} x {height} pixels, unlike its head, which says {} x {}",
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

/// What went wrong, in the decoder's words without its preamble.
fn reason(error: &ImageError) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
