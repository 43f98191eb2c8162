//! `mnist.npz`, the single file that Keras distributes: a zip archive of four NumPy arrays.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use super::{CLASSES, Dataset, Pictures, SIDE};

/// First bytes of a NumPy array.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads the arrays `x_train`, `y_train`, `x_test` and `y_test`.
///
/// # Errors
/// When the bytes are no such archive, or an array is missing, of another shape or not of unsigned bytes.
pub fn decode(bytes: &[u8]) -> Result<Dataset> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    Ok(Dataset { train: pictures(&mut archive, "train")?, test: pictures(&mut archive, "test")? })
}

fn pictures(archive: &mut ZipArchive<Cursor<&[u8]>>, part: &str) -> Result<Pictures> {
    let (shape, pixels) = array(archive, &format!("x_{part}"))?;
    let [count, SIDE, SIDE] = shape[..] else { bail!("x_{part} has shape {shape:?}, not [n, 28, 28]") };
    let (shape, labels) = array(archive, &format!("y_{part}"))?;
    ensure!(shape == [count], "y_{part} has shape {shape:?}, not [{count}] as x_{part} has pictures");
    ensure!(labels.iter().all(|&label| usize::from(label) < CLASSES), "y_{part} has labels above 9");
    Ok(Pictures { pixels, labels })
}

fn array(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let mut file =
        archive.by_name(&format!("{name}.npy")).with_context(|| format!("it has no array {name}"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("{name} cannot be unpacked"))?;
    parse(&bytes).with_context(|| format!("{name} is no array of unsigned bytes, row by row"))
}

/// Shape and values of an array: magic, version, length of the header, a Python dictionary, the bytes.
fn parse(bytes: &[u8]) -> Option<(Vec<usize>, Vec<u8>)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (&[major, _minor, low, high], rest) = rest.split_first_chunk()?;
    if major != 1 {
        return None;
    }
    let (header, values) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
    let header = std::str::from_utf8(header).ok()?;
    if !header.contains("'descr': '|u1'") || !header.contains("'fortran_order': False") {
        return None;
    }
    let (_, shape) = header.split_once("'shape': (")?;
    let (shape, _) = shape.split_once(')')?;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    let shape: Vec<usize> = lengths.map(|length| length.parse().ok()).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1_usize, |count, &length| count.checked_mul(length))?;
    (values.len() == count).then(|| (shape, values.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;
    use crate::data::PIXELS;

    fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), values].concat()
    }

    fn archive(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn arrays() -> [(&'static str, Vec<u8>); 4] {
        let pixels: Vec<u8> = (0..3 * PIXELS).map(|i| (i % 256) as u8).collect();
        [
            ("x_train", npy("|u1", "(2, 28, 28)", &pixels[..2 * PIXELS])),
            ("y_train", npy("|u1", "(2,)", &[4, 9])),
            ("x_test", npy("|u1", "(1, 28, 28)", &pixels[2 * PIXELS..])),
            ("y_test", npy("|u1", "(1,)", &[7])),
        ]
    }

    #[test]
    fn the_four_arrays_make_a_dataset() {
        let dataset = decode(&archive(&arrays())).unwrap();
        assert_eq!(dataset.train.labels, [4, 9]);
        assert_eq!(dataset.test.labels, [7]);
        assert_eq!(dataset.train.picture(1)[5], ((PIXELS + 5) % 256) as u8);
        assert_eq!(dataset.test.len(), 1);
    }

    #[test]
    fn every_fault_is_named() {
        let said = |change: (usize, Vec<u8>)| {
            let mut arrays = arrays();
            arrays[change.0].1 = change.1;
            format!("{:#}", decode(&archive(&arrays)).unwrap_err())
        };
        assert!(said((0, npy("|u1", "(2, 784)", &[0; 1568]))).contains("x_train has shape [2, 784]"));
        assert!(said((1, npy("|u1", "(3,)", &[1, 2, 3]))).contains("y_train has shape [3], not [2]"));
        assert!(said((3, npy("<f4", "(1,)", &[0; 4]))).contains("y_test is no array of unsigned bytes"));
        assert!(said((3, npy("|u1", "(1,)", &[10]))).contains("y_test has labels above 9"));
        assert!(said((2, npy("|u1", "(9, 28, 28)", &[1]))).contains("x_test is no array"));
        assert!(format!("{:#}", decode(&archive(&arrays()[..3])).unwrap_err()).contains("no array y_test"));
    }
}
