//! IDX, the format that MNIST is distributed in: a big-endian header and raw bytes.

use ndarray::{Array1, Array3};
use thiserror::Error;

use super::{CLASSES, PIXELS, SIDE};

/// First bytes of a file of unsigned bytes with one dimension (labels).
const LABELS_MAGIC: u32 = 0x0801;
/// First bytes of a file of unsigned bytes with three dimensions (pictures).
const PICTURES_MAGIC: u32 = 0x0803;

/// Why bytes are not the IDX file that they should be.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdxError {
    /// The file starts with something else.
    #[error("starts with {found:#010x}, an IDX file of {what} starts with {expected:#010x}")]
    Magic {
        /// Pictures or labels.
        what: &'static str,
        /// What the file starts with.
        found: u32,
        /// What it should start with.
        expected: u32,
    },
    /// The header is cut off, or promises more or less than follows.
    #[error("has {found} bytes, its header promises {expected}")]
    Length {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// Pictures of another size.
    #[error("holds pictures of {rows}x{columns} pixels, MNIST's are {SIDE}x{SIDE}")]
    Size {
        /// Rows promised.
        rows: usize,
        /// Columns promised.
        columns: usize,
    },
    /// A label that is no digit.
    #[error("label {index} is {label}, a digit is at most {}", CLASSES - 1)]
    Label {
        /// Which label.
        index: usize,
        /// Its value.
        label: u8,
    },
}

/// Reads a file of pictures: `[picture, row, column]`.
///
/// # Errors
/// When the bytes are no such file, or its pictures are not 28×28.
pub fn decode_pictures(bytes: &[u8]) -> Result<Array3<u8>, IdxError> {
    let ([count, rows, columns], body) = header(bytes, PICTURES_MAGIC, "pictures")?;
    if (rows, columns) != (SIDE, SIDE) {
        return Err(IdxError::Size { rows, columns });
    }
    check_length(bytes, body, count.saturating_mul(PIXELS))?;
    let pixels = Array3::from_shape_vec((count, SIDE, SIDE), body.to_vec());
    Ok(pixels.expect("the length was checked"))
}

/// Reads a file of labels: `[picture]`.
///
/// # Errors
/// When the bytes are no such file, or a label is no digit.
pub fn decode_labels(bytes: &[u8]) -> Result<Array1<u8>, IdxError> {
    let ([count], body) = header(bytes, LABELS_MAGIC, "labels")?;
    check_length(bytes, body, count)?;
    match body.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(IdxError::Label { index, label: body[index] }),
        None => Ok(body.to_vec().into()),
    }
}

/// Writes pictures, `[picture, row, column]`.
pub fn encode_pictures(pixels: &Array3<u8>) -> Vec<u8> {
    encode(PICTURES_MAGIC, pixels.shape(), pixels.iter())
}

/// Writes labels, `[picture]`.
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
