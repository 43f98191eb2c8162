//! A folder with MNIST in it: the four IDX files, which may be compressed by gzip, or `mnist.npz`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use ndarray::Axis;
use serde::{Deserialize, Serialize};

use super::{Dataset, Pictures, idx, npz};
use crate::files;

/// Names of MNIST's four files, uncompressed: training pictures and labels, test pictures and labels.
pub const IDX_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];
/// Name of the single file that Keras distributes.
pub const NPZ_NAME: &str = "mnist.npz";
/// Name of the file that marks a folder as prepared.
const CARD_NAME: &str = "dataset.json";

/// The content of `dataset.json`: what a prepared folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Card {
    sha256: String,
    train_pictures: usize,
    test_pictures: usize,
}

/// Reads MNIST from a folder in any of its formats.
///
/// # Errors
/// When a file is missing or is not what its name says. The message names the file.
pub fn load(folder: &Path) -> Result<Dataset> {
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    let npz = folder.join(NPZ_NAME);
    if npz.is_file() {
        return npz::decode(&files::read(&npz)?).with_context(|| format!("{} is not MNIST", npz.display()));
    }
    let [train_pictures, train_labels, test_pictures, test_labels] = IDX_NAMES;
    let train = load_part(folder, train_pictures, train_labels)?;
    let test = load_part(folder, test_pictures, test_labels)?;
    Ok(Dataset { train, test })
}

/// Writes a dataset as a prepared folder.
///
/// # Errors
/// When a file cannot be written.
pub fn save_prepared(dataset: &Dataset, folder: &Path) -> Result<()> {
    for (name, bytes) in dataset.idx_files() {
        files::write(&folder.join(name), &bytes)?;
    }
    let card = Card {
        sha256: dataset.sha256(),
        train_pictures: dataset.train.len(),
        test_pictures: dataset.test.len(),
    };
    // Written last: it marks the folder as complete.
    files::write(&folder.join(CARD_NAME), &serde_json::to_vec_pretty(&card)?)
}

/// Reads a prepared folder and checks that its files are unchanged.
///
/// # Errors
/// When the folder was not prepared, or a file was changed since.
pub fn load_prepared(folder: &Path) -> Result<Dataset> {
    let path = folder.join(CARD_NAME);
    ensure!(
        path.is_file(),
        "{} is not prepared (it has no {CARD_NAME}): run `decima-trainer prepare --data {} --out FOLDER` first",
        folder.display(),
        folder.display()
    );
    let card: Card = serde_json::from_slice(&files::read(&path)?)
        .with_context(|| format!("{} cannot be read: prepare the folder again", path.display()))?;
    let dataset = load(folder)?;
    let found = dataset.sha256();
    ensure!(
        found == card.sha256,
        "{} changed since it was prepared (SHA-256 {found}, was {}): prepare it again",
        folder.display(),
        card.sha256
    );
    Ok(dataset)
}

fn load_part(folder: &Path, pictures: &str, labels: &str) -> Result<Pictures> {
    let pixels = load_file(folder, pictures, idx::decode_pictures)?;
    let labels_of = load_file(folder, labels, idx::decode_labels)?;
    let count = pixels.len_of(Axis(0));
    ensure!(
        count == labels_of.len() && count > 0,
        "{}: {pictures} has {count} pictures, but {labels} has {} labels; the numbers must be equal and at least 1",
        folder.display(),
        labels_of.len()
    );
    Ok(Pictures::new(pixels, labels_of))
}

fn load_file<T>(folder: &Path, name: &str, decode: fn(&[u8]) -> Result<T, idx::IdxError>) -> Result<T> {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.gz"));
    let (path, bytes) = if plain.is_file() {
        let bytes = files::read(&plain)?;
        (plain, bytes)
    } else {
        ensure!(
            packed.is_file(),
            "{} has neither {name} nor {name}.gz: download MNIST with `decima-trainer fetch`, or draw digits with \
             `decima-trainer synth`",
            folder.display()
        );
        let bytes = unpack(&files::read(&packed)?)
            .with_context(|| format!("{} is cut off or damaged: fetch it again", packed.display()))?;
        (packed, bytes)
    };
    decode(&bytes).with_context(|| format!("{} is not the MNIST file that its name says", path.display()))
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ndarray::Array3;

    use super::*;
    use crate::data::{PIXELS, SIDE};

    fn small() -> Dataset {
        let part = |count: usize, salt: usize| {
            let pixel = |(p, r, c)| (7 * (PIXELS * p + SIDE * r + c) + salt) as u8;
            let pixels = Array3::from_shape_fn((count, SIDE, SIDE), pixel);
            Pictures::new(pixels, (0..count).map(|i| ((i + salt) % 10) as u8).collect())
        };
        Dataset { train: part(3, 1), test: part(2, 5) }
    }

    #[test]
    fn packed_and_plain_files_are_the_same_dataset() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for (name, bytes) in small().idx_files() {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(&bytes)?;
            fs::write(folder.path().join(format!("{name}.gz")), packer.finish()?)?;
        }
        let dataset = load(folder.path())?;
        assert_eq!(dataset, small());
        let prepared = folder.path().join("prepared");
        save_prepared(&dataset, &prepared)?;
        assert_eq!(load_prepared(&prepared)?, dataset);
        Ok(())
    }

    #[test]
    fn a_change_after_preparing_is_noticed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        save_prepared(&small(), folder.path())?;
        let mut changed = small();
        changed.test.labels[0] = 9;
        let (name, bytes) = &changed.idx_files()[3];
        fs::write(folder.path().join(name), bytes)?;
        let error = load_prepared(folder.path()).unwrap_err().to_string();
        assert!(error.contains("changed since it was prepared"), "{error}");
        Ok(())
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("train-images-idx3-ubyte.gz") && error.contains("fetch"), "{error}");
        let error = load_prepared(folder.path()).unwrap_err().to_string();
        assert!(error.contains("decima-trainer prepare"), "{error}");
        fs::write(folder.path().join("train-images-idx3-ubyte.gz"), b"no gzip")?;
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("train-images-idx3-ubyte.gz is cut off or damaged"), "{error}");
        Ok(())
    }
}
