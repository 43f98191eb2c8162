//! Checks the sizes of frames inside a picture: decoders allocate for them, and the picture's head does not bound them.

use super::{
    Format,
    bytes::{array, little, little_24},
    head,
};

/// Why a frame may not be decoded, if so: it is larger than the picture that it lies in, or than the limit.
///
/// A file that ends before its first frame has none: its decoder says what is missing.
pub(super) fn refuse(format: Format, bytes: &[u8], size: (u32, u32), max_pixels: u64) -> Option<String> {
    match format {
        Format::WebP => webp(bytes, size),
        Format::Gif => {
            let (width, height) = gif(bytes)?;
            (u64::from(width) * u64::from(height) > max_pixels).then(|| {
                format!("a frame has {width} x {height} pixels, more than the limit of {max_pixels}")
            })
        }
        // BMP and JPEG have one size only, and the PNG decoder compares a frame's size with the picture's.
        Format::Png | Format::Jpeg | Format::Bmp => None,
    }
}

/// A part of a RIFF file.
struct Chunk<'a> {
    name: &'a [u8],
    /// As much of it as there is.
    data: &'a [u8],
    is_whole: bool,
}

/// The chunks that follow one another.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let name = bytes.get(..4)?;
        let length = u32::from_le_bytes(array(bytes, 4)?) as usize;
        let rest = &bytes[8..];
        let data = &rest[..length.min(rest.len())];
        // one of an odd length is followed by a byte that fills it up
        bytes = rest.get(length.saturating_add(length & 1)..).unwrap_or_default();
        Some(Chunk { name, data, is_whole: data.len() == length })
    })
}

/// The chunks that are decoded; others are passed over, as are bytes after the picture that look like some.
const KNOWN: [&[u8; 4]; 8] = [b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "];

fn webp(bytes: &[u8], canvas: (u32, u32)) -> Option<String> {
    let mut all = chunks(bytes.get(12..)?);
    if bytes.get(12..16)? == b"VP8X" {
        all.next();
    }
    all.find_map(|chunk| {
        if !KNOWN.iter().any(|known| chunk.name == *known) {
            return None;
        }
        // a decoder allocates for the length that a chunk gives
        if !chunk.is_whole {
            return Some(format!("its chunk {} is cut off", String::from_utf8_lossy(chunk.name)));
        }
        if chunk.name != b"ANMF" {
            return image(&chunk, canvas);
        }
        let at = |offset| little_24(chunk.data, offset);
        let (Some(left), Some(top), Some(width), Some(height)) = (at(0), at(3), at(6), at(9)) else {
            return Some("a frame is cut off".to_owned());
        };
        let (width, height) = (width + 1, height + 1);
        // places are counted in steps of two pixels
        if left * 2 + width > canvas.0 || top * 2 + height > canvas.1 {
            return Some(format!("a frame of {width} x {height} pixels lies outside of the picture"));
        }
        animated(chunk.data.get(16..).unwrap_or_default(), (width, height))
    })
}

/// The chunks of an animation's frame.
fn animated(bytes: &[u8], size: (u32, u32)) -> Option<String> {
    let mut after_alpha = false;
    chunks(bytes).find_map(|chunk| {
        // what follows transparency is decoded as VP8, whatever it is called
        if after_alpha && chunk.name != b"VP8 " {
            return Some("a frame has transparency only".to_owned());
        }
        after_alpha = chunk.name == b"ALPH";
        image(&chunk, size)
    })
}

/// Whether the size that an image gives in its own head is not that of the place for it.
fn image(chunk: &Chunk<'_>, (width, height): (u32, u32)) -> Option<String> {
    let size = match chunk.name {
        b"VP8 " => head::vp8(chunk.data),
        b"VP8L" => head::vp8l(chunk.data),
        _ => return None,
    };
    match size {
        None => Some("a frame is cut off".to_owned()),
        Some(found) if found == (width, height) => None,
        Some((wide, high)) => {
            Some(format!("a frame has {wide} x {high} pixels where {width} x {height} belong"))
        }
    }
}

/// Width and height of the first frame.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    // a table of colours follows if the highest bit says so; the lowest three are the logarithm of its length, less 1
    let flags = *bytes.get(10)?;
    let mut at = 13 + if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    loop {
        match *bytes.get(at)? {
            0x2c => return Some((little(bytes, at + 5)?, little(bytes, at + 7)?)),
            0x21 => {
                // an extension: blocks, each with its length before it, up to an empty one
                at += 2;
                loop {
                    let length = usize::from(*bytes.get(at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            // what fills up between blocks
            0 => at += 1,
            _ => return None,
        }
    }
}
