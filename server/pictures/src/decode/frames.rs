//! Checks the sizes of the frames in a picture. Decoders allocate memory by these sizes, and the size in the picture's
//! header does not limit them.

use super::{
    Format,
    bytes::{array, little, little_24},
    head,
};

/// Returns why a frame must not be decoded, if it is larger than its picture or than the limit.
///
/// For a file that ends before its first frame it returns `None`; the decoder then reports what is missing.
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

/// A chunk of a RIFF file.
struct Chunk<'a> {
    name: &'a [u8],
    /// The chunk's data, as far as the file has it.
    data: &'a [u8],
    is_whole: bool,
}

/// Iterates over a sequence of chunks.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let name = bytes.get(..4)?;
        let length = u32::from_le_bytes(array(bytes, 4)?) as usize;
        let rest = &bytes[8..];
        let data = &rest[..length.min(rest.len())];
        // A padding byte follows a chunk of odd length.
        bytes = rest.get(length.saturating_add(length & 1)..).unwrap_or_default();
        Some(Chunk { name, data, is_whole: data.len() == length })
    })
}

/// The chunks that the decoder reads. Others are skipped, and so are bytes after the picture that look like chunks.
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
        // A decoder would allocate memory by the length in the chunk's header.
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
        // The file has positions in units of two pixels.
        if left * 2 + width > canvas.0 || top * 2 + height > canvas.1 {
            return Some(format!("a frame of {width} x {height} pixels lies outside the picture"));
        }
        animated(chunk.data.get(16..).unwrap_or_default(), (width, height))
    })
}

/// Checks the chunks of one frame of an animation.
fn animated(bytes: &[u8], size: (u32, u32)) -> Option<String> {
    let mut after_alpha = false;
    chunks(bytes).find_map(|chunk| {
        // The decoder reads the chunk after an ALPH chunk as VP8, whatever its name.
        if after_alpha && chunk.name != b"VP8 " {
            return Some("a frame has transparency only".to_owned());
        }
        after_alpha = chunk.name == b"ALPH";
        image(&chunk, size)
    })
}

/// Returns an error text if the size in an image's own header differs from the size in the header of its frame.
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
            Some(format!("a frame has {wide} x {high} pixels instead of {width} x {height}"))
        }
    }
}

/// Width and height of the first frame.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    // The highest bit says whether a colour table follows. The lowest three are the logarithm of its length, minus 1.
    let flags = *bytes.get(10)?;
    let mut at = 13 + if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    loop {
        match *bytes.get(at)? {
            0x2c => return Some((little(bytes, at + 5)?, little(bytes, at + 7)?)),
            0x21 => {
                // An extension: blocks, each preceded by its length. An empty block ends it.
                at += 2;
                loop {
                    let length = usize::from(*bytes.get(at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            // Padding between blocks.
            0 => at += 1,
            _ => return None,
        }
    }
}
