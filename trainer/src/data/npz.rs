//! `mnist.npz`, the single file that Keras distributes: a zip archive of four `NumPy` arrays.
//!
//! `ndarray-npy` reads the arrays as views of bytes that are already in memory. Its stream readers would allocate the
//! size that an array's header claims before they read any data, so that a damaged file could exhaust the memory.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array, ArrayView, Dimension, IxDyn};
use ndarray_npy::{ViewNpyError, ViewNpyExt};
use zip::ZipArchive;

use super::{CLASSES, Dataset, Pictures, SIDE};

/// First bytes of a `NumPy` array.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header of an array that is read, in bytes. `NumPy` has the same limit, because parsing a Python literal
/// takes time and stack in proportion to its length.
const LONGEST_HEADER: usize = 10_000;
/// Largest array that is decompressed, in bytes. MNIST's largest has 45 MiB.
const LARGEST_ARRAY: u64 = 256 << 20;

/// Reads the arrays `x_train`, `y_train`, `x_test` and `y_test`.
///
/// # Errors
/// When the bytes are not such an archive, or an array is missing, has another shape or datatype, or is larger than
/// 256 MiB.
pub fn decode(bytes: &[u8]) -> Result<Dataset> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    Ok(Dataset { train: pictures(&mut archive, "train")?, test: pictures(&mut archive, "test")? })
}

fn pictures(archive: &mut ZipArchive<Cursor<&[u8]>>, part: &str) -> Result<Pictures> {
    let pixels = array(archive, &format!("x_{part}"))?;
    let &[count, SIDE, SIDE] = pixels.shape() else {
        bail!("x_{part} has shape {:?}, not [n, {SIDE}, {SIDE}]", pixels.shape());
    };
    let labels = array(archive, &format!("y_{part}"))?;
    let shape = labels.shape();
    ensure!(
        shape == [count],
        "y_{part} has shape {shape:?}, not [{count}], the number of pictures in x_{part}"
    );
    ensure!(count > 0, "x_{part} has no pictures");
    ensure!(labels.iter().all(|&label| usize::from(label) < CLASSES), "y_{part} has labels above 9");
    Ok(Pictures::new(pixels.into_dimensionality()?, labels.into_dimensionality()?))
}

/// One array of unsigned bytes, of any shape.
fn array(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Array<u8, IxDyn>> {
    let file = archive.by_name(&format!("{name}.npy")).with_context(|| format!("it has no array {name}"))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_ARRAY + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{name} cannot be decompressed"))?;
    ensure!(bytes.len() as u64 <= LARGEST_ARRAY, "{name} is larger than {} MiB", LARGEST_ARRAY >> 20);
    Ok(view(&bytes).with_context(|| format!("{name} is not an array of unsigned bytes"))?.to_owned())
}

/// A view of the array in the bytes of an `.npy` file.
fn view<D: Dimension>(bytes: &[u8]) -> Result<ArrayView<'_, u8, D>> {
    check_header_length(bytes)?;
    match ArrayView::<u8, D>::view_npy(bytes) {
        // The library's own message would print the syntax tree of the datatype.
        Err(ViewNpyError::WrongDescriptor(found)) => bail!("its values are {found}, not '|u1'"),
        view => Ok(view?),
    }
}

/// Refuses headers that are too long, before memory is allocated for them.
fn check_header_length(bytes: &[u8]) -> Result<()> {
    let rest = bytes.strip_prefix(MAGIC).context("it does not start like an .npy file")?;
    let length = match *rest {
        [1, _minor, low, high, ..] => usize::from(u16::from_le_bytes([low, high])),
        [_major, _minor, a, b, c, d, ..] => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => bail!("it is cut off"),
    };
    ensure!(length <= LONGEST_HEADER, "its header has {length} bytes, more than {LONGEST_HEADER}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ndarray::{Array3, arr1, s};
    use ndarray_npy::WriteNpyExt;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;
    use crate::data::PIXELS;

    fn npy(descr: &str, order: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
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

    fn pixels() -> Array3<u8> {
        Array3::from_shape_fn((3, SIDE, SIDE), |(p, r, c)| (p * PIXELS + r * SIDE + c) as u8)
    }

    fn written(array: &impl WriteNpyExt) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    fn arrays() -> [(&'static str, Vec<u8>); 4] {
        [
            ("x_train", written(&pixels().slice(s![..2, .., ..]))),
            ("y_train", written(&arr1(&[4_u8, 9]))),
            ("x_test", written(&pixels().slice(s![2.., .., ..]))),
            ("y_test", written(&arr1(&[7_u8]))),
        ]
    }

    #[test]
    fn the_four_arrays_make_a_dataset() {
        let dataset = decode(&archive(&arrays())).unwrap();
        assert_eq!(dataset.train.labels, arr1(&[4, 9]));
        assert_eq!(dataset.test.labels, arr1(&[7]));
        assert_eq!(dataset.train.pixels, pixels().slice(s![..2, .., ..]));
        assert_eq!(dataset.test.pixels, pixels().slice(s![2.., .., ..]));
    }

    #[test]
    fn arrays_that_lie_column_by_column_are_the_same_pictures() {
        let mut arrays = arrays();
        let reversed = pixels().slice(s![..2, .., ..]).reversed_axes().as_standard_layout().into_owned();
        let values = reversed.as_slice().unwrap();
        arrays[0].1 = npy("|u1", "True", "(2, 28, 28)", values);
        let dataset = decode(&archive(&arrays)).unwrap();
        assert_eq!(dataset.train.pixels, pixels().slice(s![..2, .., ..]));
        assert_eq!(dataset.train.row_major(1)[5], pixels()[[1, 0, 5]]);
    }

    #[test]
    fn every_fault_is_named() {
        let said = |index: usize, bytes: Vec<u8>| {
            let mut arrays = arrays();
            arrays[index].1 = bytes;
            format!("{:#}", decode(&archive(&arrays)).unwrap_err())
        };
        let plain = |shape, values: &[u8]| npy("|u1", "False", shape, values);
        let expect = |said: String, words: &str| assert!(said.contains(words), "{said}");
        expect(said(0, plain("(2, 784)", &[0; 1568])), "x_train has shape [2, 784], not [n, 28, 28]");
        expect(said(1, plain("(3,)", &[1, 2, 3])), "y_train has shape [3], not [2]");
        expect(said(3, npy("<f4", "False", "(1,)", &[0; 4])), "y_test is not an array of unsigned bytes");
        expect(said(3, npy("<f4", "False", "(1,)", &[0; 4])), "its values are '<f4', not '|u1'");
        expect(said(3, plain("(1,)", &[10])), "y_test has labels above 9");
        expect(said(2, plain("(9, 28, 28)", &[1])), "x_test is not an array");
        expect(said(3, plain("(1,)", &[1, 2])), "y_test is not an array");
        expect(said(3, b"PK".to_vec()), "does not start like an .npy file");
        expect(format!("{:#}", decode(&archive(&arrays()[..3])).unwrap_err()), "no array y_test");
        expect(said(0, plain("(0, 28, 28)", &[])), "[2]");
    }

    /// A header that claims more data than the file has is refused before memory is allocated for it.
    #[test]
    fn headers_with_false_sizes_are_refused() {
        let lengths = [usize::MAX, 1 << 62, 1 << 40];
        let shapes = lengths.iter().map(|length| format!("({length}, 28, 28)"));
        let huge = "9".repeat(60);
        for shape in
            shapes.chain([format!("({huge},)"), "(-1,)".into(), "(4611686018427387904, 4, 2)".into()])
        {
            assert!(view::<IxDyn>(&npy("|u1", "False", &shape, &[0; 8])).is_err(), "{shape}");
        }
        // A header of 4 GiB, in version 2 of the format.
        let long = [MAGIC, &[2, 0, 0xff, 0xff, 0xff, 0xff], b"{'descr'"].concat();
        assert!(view::<IxDyn>(&long).unwrap_err().to_string().contains("4294967295 bytes"));
        // Parentheses nested as deeply as the longest header allows.
        let deep = format!("{}\n", "(".repeat(LONGEST_HEADER - 1));
        let length = (deep.len() as u16).to_le_bytes();
        let deep = [MAGIC, &[1, 0], &length, deep.as_bytes()].concat();
        assert!(view::<IxDyn>(&deep).is_err());
        let closed = format!("{}{}\n", "(".repeat(4_900), ")".repeat(4_900));
        let length = (closed.len() as u16).to_le_bytes();
        assert!(view::<IxDyn>(&[MAGIC, &[1, 0], &length, closed.as_bytes()].concat()).is_err());
    }

    #[test]
    fn no_damaged_byte_ends_the_process() {
        let whole = archive(&arrays());
        for end in (0..whole.len()).step_by(37) {
            assert!(decode(&whole[..end]).is_err(), "cut off at {end}");
        }
        // A changed byte gives an error, or another value in places that no checksum covers.
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x41;
            let _ = decode(&damaged);
        }
        let header = written(&arr1(&[7_u8]));
        for place in 0..header.len() {
            for value in 0..=u8::MAX {
                let mut damaged = header.clone();
                damaged[place] = value;
                let _ = view::<IxDyn>(&damaged);
            }
        }
    }
}
