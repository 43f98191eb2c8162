//! MNIST: where it comes from, its file formats, and the pictures in memory.
//!
//! Floors, lowest first: `idx`, `npz`; `folder`; `fetch`, `synth` and `strokes`; `paper`; `scans`; `additions`.

pub mod additions;
pub mod fetch;
pub mod folder;
pub mod idx;
pub mod npz;
pub mod paper;
pub mod scans;
pub mod strokes;
pub mod synth;

use crate::files;

/// Rows and columns of a picture.
pub const SIDE: usize = 28;
/// Pixels of a picture.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes: the digits 0 to 9.
pub const CLASSES: usize = 10;
/// The label of a picture that shows no digit; only pictures to learn from have it.
pub const NO_DIGIT: u8 = CLASSES as u8;

/// Pictures with their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Grey values, `[picture, row, column]`, 0 is the ground.
    pub pixels: Vec<u8>,
    /// The digit on each picture.
    pub labels: Vec<u8>,
}

impl Pictures {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Adds the pictures of `more` after these.
    pub fn append(&mut self, more: &Self) {
        self.pixels.extend_from_slice(&more.pixels);
        self.labels.extend_from_slice(&more.labels);
    }

    /// The pixels of one picture, `[row, column]`.
    pub fn picture(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..][..PIXELS]
    }
}

/// A training set and a test set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// What the network learns from.
    pub train: Pictures,
    /// What it is measured on, once, at the end.
    pub test: Pictures,
}

impl Dataset {
    /// SHA-256 of the pictures and labels, whatever kind of file they came in.
    pub fn sha256(&self) -> String {
        let parts = self.idx_files();
        let parts: Vec<&[u8]> = parts.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        files::sha256(&parts)
    }

    /// The four IDX files, unpacked, under their usual names.
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
