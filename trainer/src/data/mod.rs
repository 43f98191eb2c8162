//! Data sets of digits: sources, file formats, and the pictures in memory.
//!
//! Floors, lowest first: `dice`, `idx`, `npz`; `folder` and `paper`; `fetch`, `labelled` and `strokes`; `samples`,
//! `latest`, `scans` and `synth`; `additions`.

pub mod additions;
pub mod dice;
pub mod fetch;
pub mod folder;
pub mod idx;
pub mod labelled;
pub mod latest;
pub mod npz;
pub mod paper;
pub mod samples;
pub mod scans;
pub mod strokes;
pub mod synth;

use ndarray::{Array1, Array3, ArrayView2, Axis};

use crate::files;

/// Rows and columns of a picture.
pub const SIDE: usize = 28;
/// Pixels of a picture.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes: the digits 0 to 9.
pub const CLASSES: usize = 10;
/// The label of a picture that does not show a digit. Only training pictures have it.
pub const NO_DIGIT: u8 = CLASSES as u8;

/// Pictures with their labels.
///
/// The arrays are contiguous and in row-major order, so that kernels can take a picture as a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Grey values, `[picture, row, column]`, 28 rows of 28 columns; 0 is the background.
    pub pixels: Array3<u8>,
    /// The digit on each picture, `[picture]`.
    pub labels: Array1<u8>,
}

impl Pictures {
    /// Combines pixels `[picture, row, column]` and labels `[picture]`.
    ///
    /// # Panics
    /// When the numbers of pictures and labels differ, or a picture is not 28 x 28.
    pub fn new(pixels: Array3<u8>, labels: Array1<u8>) -> Self {
        assert_eq!(pixels.dim(), (labels.len(), SIDE, SIDE), "a label for each picture of 28x28");
        let pixels =
            if pixels.is_standard_layout() { pixels } else { pixels.as_standard_layout().into_owned() };
        Self { pixels, labels }
    }

    /// Combines pixels in row-major order, picture after picture, with labels.
    ///
    /// # Panics
    /// When the numbers of pictures and labels differ.
    pub fn from_rows(pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        let pixels = Array3::from_shape_vec((labels.len(), SIDE, SIDE), pixels);
        Self::new(pixels.expect("a label for each picture of 28x28"), labels.into())
    }

    /// The pictures of several sets, one set after the other.
    pub fn joined(sets: &[&Self]) -> Self {
        let mut pixels = Vec::with_capacity(sets.iter().map(|set| set.pixels.len()).sum());
        let mut labels = Vec::with_capacity(sets.iter().map(|set| set.len()).sum());
        for set in sets {
            pixels.extend(set.pixels.iter());
            labels.extend(set.labels.iter());
        }
        Self::from_rows(pixels, labels)
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// One picture, `[row, column]`.
    pub fn picture(&self, index: usize) -> ArrayView2<'_, u8> {
        self.pixels.index_axis(Axis(0), index)
    }

    /// The pixels of one picture in row-major order, for kernels.
    pub fn row_major(&self, index: usize) -> &[u8] {
        let pixels = self.pixels.as_slice().expect("pictures lie one after the other, row by row");
        &pixels[index * PIXELS..][..PIXELS]
    }
}

/// A training set and a test set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The training set.
    pub train: Pictures,
    /// The test set. The network is measured on it once, after training.
    pub test: Pictures,
}

impl Dataset {
    /// SHA-256 of the pictures and labels. It does not depend on the format of the files that they came in.
    pub fn sha256(&self) -> String {
        let parts = self.idx_files();
        let parts: Vec<&[u8]> = parts.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        files::sha256(&parts)
    }

    /// The names and contents of the four IDX files, uncompressed.
    pub fn idx_files(&self) -> [(&'static str, Vec<u8>); 4] {
        let [train_pictures, train_labels, test_pictures, test_labels] = folder::IDX_NAMES;
        [
            (train_pictures, idx::encode_pictures(&self.train.pixels)),
            (train_labels, idx::encode_labels(&self.train.labels)),
            (test_pictures, idx::encode_pictures(&self.test.pixels)),
            (test_labels, idx::encode_labels(&self.test.labels)),
        ]
    }
}
