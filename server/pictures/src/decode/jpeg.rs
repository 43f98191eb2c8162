//! Reads a JPEG's markers before it is decoded: its size, and whether the file is complete.

use super::bytes::array;

/// Finds the next marker from `at` on. Returns it, and the offset of the data after it. Any number of bytes 0xff may
/// precede a marker.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let filling = rest.iter().position(|&byte| byte == 0xff)?;
    let marker = filling + rest[filling..].iter().position(|&byte| byte != 0xff)?;
    Some((rest[marker], at + marker + 1))
}

/// The end of the segment whose length is at offset `at`.
fn end_of_segment(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + usize::from(u16::from_be_bytes(array(bytes, at)?)).max(2))
}

/// Width and height in pixels, from the start-of-frame segment.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let (marker, content) = next_marker(bytes, at)?;
        at = match marker {
            // C4, C8 and CC are not starts of frames.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let height = u32::from(u16::from_be_bytes(array(bytes, content + 3)?));
                let width = u32::from(u16::from_be_bytes(array(bytes, content + 5)?));
                return Some((width, height));
            }
            0x01 | 0xd0..=0xd8 => content, // Markers without a segment.
            0xd9 | 0xda => return None,
            _ => end_of_segment(bytes, content)?,
        };
    }
}

/// Whether the segments and scans continue up to the end marker.
///
/// The JPEG decoder does not report missing data but fills it in, as browsers do while a page loads. The decoders of
/// the other formats refuse an incomplete picture. Data after the end marker is allowed: cameras and editors append
/// more pictures, videos and notes.
///
/// Segments are skipped by their lengths, because a thumbnail in a segment has an end marker of its own.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut in_scan = false;
    while let Some((marker, content)) = next_marker(bytes, at) {
        at = match marker {
            0xd9 => return true,
            // No segment follows these. 0x00 means that the 0xff before it is data of a scan.
            0x00..=0x01 | 0xd0..=0xd8 => content,
            // In a damaged scan, data may look like a marker; no length follows it.
            0x02..=0xbf if in_scan => content,
            _ => {
                let Some(end) = end_of_segment(bytes, content) else { return false };
                in_scan |= marker == 0xda;
                end
            }
        };
    }
    false
}
