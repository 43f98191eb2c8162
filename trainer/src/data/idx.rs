//! IDX, the file format of MNIST: a big-endian header, followed by raw bytes.

use ndarray::{Array1, Array3};
use thiserror::Error;

use super::{CLASSES, PIXELS, SIDE};

/// First four bytes of a label file: unsigned bytes in one dimension.
const LABELS_MAGIC: u32 = 0x0801;
/// First four bytes of a picture file: unsigned bytes in three dimensions.
const PICTURES_MAGIC: u32 = 0x0803;

/// Why bytes are not the expected IDX file.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdxError {
    /// The first four bytes are wrong.
    #[error("starts with {found:#010x}, but an IDX file of {what} starts with {expected:#010x}")]
    Magic {
        /// "pictures" or "labels".
        what: &'static str,
        /// The first four bytes of the file.
        found: u32,
        /// The first four bytes of a valid file.
        expected: u32,
    },
    /// The file is shorter or longer than its header says, or even the header is cut off.
    #[error("has {found} bytes, but its header says {expected}")]
    Length {
        /// Length of the file in bytes.
        found: usize,
        /// Length according to the header, in bytes.
        expected: usize,
    },
    /// The pictures do not have MNIST's size.
    #[error("holds pictures of {rows}x{columns} pixels, but MNIST's are {SIDE}x{SIDE}")]
    Size {
        /// Rows of a picture.
        rows: usize,
        /// Columns of a picture.
        columns: usize,
    },
    /// A label is not a digit.
    #[error("label {index} is {label}, but a digit is at most {}", CLASSES - 1)]
    Label {
        /// Index of the label, from 0.
        index: usize,
        /// Value of the label.
        label: u8,
    },
}

/// Decodes a picture file: `[picture, row, column]`.
///
/// # Errors
/// When the bytes are not such a file, or its pictures are not 28×28.
pub fn decode_pictures(bytes: &[u8]) -> Result<Array3<u8>, IdxError> {
    let ([count, rows, columns], body) = header(bytes, PICTURES_MAGIC, "pictures")?;
    if (rows, columns) != (SIDE, SIDE) {
        return Err(IdxError::Size { rows, columns });
    }
    check_length(bytes, body, count.saturating_mul(PIXELS))?;
    let pixels = Array3::from_shape_vec((count, SIDE, SIDE), body.to_vec());
    Ok(pixels.expect("the length was checked"))
}

/// Decodes a label file: `[picture]`.
///
/// # Errors
/// When the bytes are not such a file, or a label is not a digit.
pub fn decode_labels(bytes: &[u8]) -> Result<Array1<u8>, IdxError> {
    let ([count], body) = header(bytes, LABELS_MAGIC, "labels")?;
    check_length(bytes, body, count)?;
    match body.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(IdxError::Label { index, label: body[index] }),
        None => Ok(body.to_vec().into()),
    }
}

/// Encodes pictures, `[picture, row, column]`.
pub fn encode_pictures(pixels: &Array3<u8>) -> Vec<u8> {
    encode(PICTURES_MAGIC, pixels.shape(), pixels.iter())
}

/// Encodes labels, `[picture]`.
pub fn encode_labels(labels: &Array1<u8>) -> Vec<u8> {
    encode(LABELS_MAGIC, labels.shape(), labels.iter())
}

fn header<'a, const N: usize>(
    bytes: &'a [u8],
    expected: u32,
    what: &'static str,
) -> Result<([usize; N], &'a [u8]), IdxError> {
    let word = |index: usize| bytes.get(4 * index..4 * index + 4)?.try_into().ok().map(u32::from_be_bytes);
    let short = IdxError::Length { found: bytes.len(), expected: 4 * (N + 1) };
    match word(0) {
        Some(found) if found != expected => return Err(IdxError::Magic { what, found, expected }),
        Some(_) if bytes.len() >= 4 * (N + 1) => {}
        _ => return Err(short),
    }
    let sizes = std::array::from_fn(|index| word(index + 1).unwrap_or_default() as usize);
    Ok((sizes, &bytes[4 * (N + 1)..]))
}

fn check_length(bytes: &[u8], body: &[u8], expected: usize) -> Result<(), IdxError> {
    if body.len() == expected {
        return Ok(());
    }
    let header = bytes.len() - body.len();
    Err(IdxError::Length { found: bytes.len(), expected: expected.saturating_add(header) })
}

fn encode<'a>(magic: u32, sizes: &[usize], body: impl Iterator<Item = &'a u8>) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    for &size in sizes {
        bytes.extend((size as u32).to_be_bytes());
    }
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let pixels = Array3::from_shape_fn((2, SIDE, SIDE), |(p, r, c)| (p * PIXELS + r * SIDE + c) as u8);
        assert_eq!(decode_pictures(&encode_pictures(&pixels)), Ok(pixels));
        let labels = Array1::from(vec![0, 9, 5]);
        assert_eq!(decode_labels(&encode_labels(&labels)), Ok(labels));
    }

    #[test]
    fn every_fault_is_named() {
        let labels = encode_labels(&Array1::from(vec![1, 2, 3]));
        let pictures = encode_pictures(&Array3::zeros((1, SIDE, SIDE)));
        let magic = IdxError::Magic { what: "pictures", found: 0x0801, expected: 0x0803 };
        assert_eq!(decode_pictures(&labels), Err(magic));
        assert_eq!(decode_labels(&labels[..10]), Err(IdxError::Length { found: 10, expected: 11 }));
        assert_eq!(decode_labels(&labels[..6]), Err(IdxError::Length { found: 6, expected: 8 }));
        assert_eq!(decode_labels(&[]), Err(IdxError::Length { found: 0, expected: 8 }));
        let eleven = encode_labels(&Array1::from(vec![1, 10]));
        assert_eq!(decode_labels(&eleven), Err(IdxError::Label { index: 1, label: 10 }));
        let mut wide = pictures;
        wide[15] = 29;
        assert_eq!(decode_pictures(&wide), Err(IdxError::Size { rows: 28, columns: 29 }));
    }
}
