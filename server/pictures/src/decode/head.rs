//! Reads width and height from a picture's header, without a decoder.

use super::{
    DecodeError, Format,
    bytes::{array, little, little_24},
    jpeg,
};

/// Width and height in the header, both at least 1.
pub(super) fn dimensions(format: Format, bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    let broken = |reason: &str| DecodeError::Broken { format, reason: reason.to_owned() };
    let (width, height) = match format {
        Format::Png => png(bytes),
        Format::Jpeg => jpeg::dimensions(bytes),
        Format::WebP => webp(bytes),
        Format::Gif => gif(bytes),
        Format::Bmp => bmp(bytes),
    }
    .ok_or_else(|| broken("its header is incomplete"))?;
    if width == 0 || height == 0 {
        return Err(broken("its header has a width or height of 0"));
    }
    Ok((width, height))
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((u32::from_be_bytes(array(bytes, 16)?), u32::from_be_bytes(array(bytes, 20)?)))
}

fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((little(bytes, 6)?, little(bytes, 8)?))
}

fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    // The oldest kind of bitmap header has 12 bytes, and 16 bits for each side.
    if u32::from_le_bytes(array(bytes, 14)?) == 12 {
        return Some((little(bytes, 18)?, little(bytes, 20)?));
    }
    let width = i32::from_le_bytes(array(bytes, 18)?);
    let height = i32::from_le_bytes(array(bytes, 22)?); // Negative if the rows start at the top.
    Some((u32::try_from(width).unwrap_or(0), height.unsigned_abs()))
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little_24(bytes, 24)? + 1, little_24(bytes, 27)? + 1)),
        b"VP8L" => vp8l(bytes.get(20..)?),
        b"VP8 " => vp8(bytes.get(20..)?),
        _ => None,
    }
}

/// Width and height of a VP8 key frame.
pub(super) fn vp8(frame: &[u8]) -> Option<(u32, u32)> {
    Some((little(frame, 6)? & 0x3fff, little(frame, 8)? & 0x3fff))
}

/// Width and height of a VP8L (lossless) frame.
pub(super) fn vp8l(frame: &[u8]) -> Option<(u32, u32)> {
    let bits = u32::from_le_bytes(array(frame, 1)?);
    Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
}
