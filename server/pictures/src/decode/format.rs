//! Recognises picture formats by their first bytes.

use std::fmt;

use super::DecodeError;

/// A picture format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics, including animated ones (APNG).
    Png,
    /// JPEG, baseline and progressive.
    Jpeg,
    /// WebP, lossy and lossless.
    WebP,
    /// Graphics Interchange Format.
    Gif,
    /// Windows bitmap.
    Bmp,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        })
    }
}

impl Format {
    /// The format of a file, recognised by its first bytes.
    ///
    /// # Errors
    /// When the file is empty or has another format. The error names well-known formats.
    pub fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        let at =
            |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        if at(0, b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if at(0, b"\xff\xd8\xff") {
            Ok(Self::Jpeg)
        } else if at(0, b"RIFF") && at(8, b"WEBP") {
            Ok(Self::WebP)
        } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
            Ok(Self::Gif)
        } else if at(0, b"BM") {
            Ok(Self::Bmp)
        } else {
            Err(DecodeError::Unsupported { what: name(bytes) })
        }
    }
}

/// First bytes of files that people send by mistake, and what these files are.
const NAMES: [(&[u8], &str); 14] = [
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop document"),
    (b"qoif", "a QOI picture"),
    (b"DDS ", "a DDS picture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file"),
    (b"data:", "a data URL instead of the bytes that it encodes"),
];

/// A description of bytes that are not in a supported format.
fn name(bytes: &[u8]) -> &'static str {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(4, b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"avif" | b"avis") => "an AVIF picture",
            Some(b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1") => {
                "a HEIC picture"
            }
            _ => "a video",
        };
    }
    if let Some((_, name)) = NAMES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return name;
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.starts_with("<svg") || (head.starts_with('<') && head.contains("<svg")) {
        "an SVG drawing"
    } else if head.starts_with('<') {
        "an HTML or XML document"
    } else if head.starts_with(['{', '[']) {
        "a JSON document"
    } else {
        "the format of these bytes"
    }
}
