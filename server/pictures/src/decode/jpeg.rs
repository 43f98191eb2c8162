//! What a JPEG's markers say before it is decoded: its size, and whether its end is there.

use super::bytes::array;

/// The next marker from `at` on, and where what belongs to it begins. Any number of bytes 0xff may fill the room before a
/// marker.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let filling = rest.iter().position(|&byte| byte == 0xff)?;
    let marker = filling + rest[filling..].iter().position(|&byte| byte != 0xff)?;
    Some((rest[marker], at + marker + 1))
}

/// Where the segment that begins at `at` with its length ends.
fn end_of_segment(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + usize::from(u16::from_be_bytes(array(bytes, at)?)).max(2))
}

/// Width and height in pixels, from the segment that starts a frame.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let (marker, content) = next_marker(bytes, at)?;
        at = match marker {
            // C4, C8 and CC are tables, not frames
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let height = u32::from(u16::from_be_bytes(array(bytes, content + 3)?));
                let width = u32::from(u16::from_be_bytes(array(bytes, content + 5)?));
                return Some((width, height));
            }
            0x01 | 0xd0..=0xd8 => content, // markers without a segment
            0xd9 | 0xda => return None,
            _ => end_of_segment(bytes, content)?,
        };
    }
}

/// Whether the segments and scans go on to the end marker. What follows that counts for nothing: cameras and editors
/// append more pictures, videos and notes. The decoder makes up what is missing, as browsers do for a page that still
/// loads; those of the other formats refuse a picture without all its pixels.
///
/// Segments are passed over by their lengths: a thumbnail in one has an end marker of its own.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut in_scan = false;
    while let Some((marker, content)) = next_marker(bytes, at) {
        at = match marker {
            0xd9 => return true,
            // no segment follows these; 0 says that the byte before it belongs to a scan
            0x00..=0x01 | 0xd0..=0xd8 => content,
            // a scan that is damaged holds what looks like a marker, and no length after it
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
