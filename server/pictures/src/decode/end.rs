//! Whether the end of a picture is there.
//!
//! JPEG's decoder makes up what is missing, as browsers do for a page that still loads. The other formats' decoders
//! refuse a picture without all its pixels.

use super::{Format, head};

/// Why a picture may not be decoded, if so: its end is missing.
pub(super) fn refuse(format: Format, bytes: &[u8]) -> Option<String> {
    (format == Format::Jpeg && !jpeg(bytes))
        .then(|| "its end marker is missing, so some of the picture may be: send the whole file".to_owned())
}

/// Whether a JPEG's segments and scans go on to its end marker. What follows that counts for nothing: cameras and editors
/// append more pictures, videos and notes.
///
/// Segments are passed over by their lengths: a thumbnail in one has an end marker of its own.
fn jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut in_scan = false;
    loop {
        let Some(more) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return false;
        };
        at += more + 1;
        let Some(&marker) = bytes.get(at) else { return false };
        match marker {
            // a byte that fills up: the next may be the marker
            0xff => {}
            0xd9 => return true,
            // no segment follows these; 0 says that the byte before it belongs to a scan
            0x00..=0x01 | 0xd0..=0xd8 => at += 1,
            // a scan that is damaged holds what looks like a marker, and no length after it
            0x02..=0xbf if in_scan => at += 1,
            _ => {
                let Some(length) = head::array(bytes, at + 1).map(u16::from_be_bytes) else { return false };
                at += 1 + usize::from(length).max(2);
                in_scan |= marker == 0xda;
            }
        }
    }
}
