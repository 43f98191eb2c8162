//! `metrics.json`: what a training came to, for programs.

use std::path::Path;

use anyhow::{Context, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::calibration::NOT_SURE;
use crate::checkpoint::History;
use crate::data::{CLASSES, Dataset};
use crate::drawings::DrawingsMetrics;
use crate::evaluate::Answers;
use crate::files;

/// Version of the file's form; goes up when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Weights, shifts and biases of the network.
    pub parameters: usize,
    /// How the network does on pictures that it was not made or chosen by.
    pub test: TestMetrics,
    /// How it does on labelled pictures of any kind, where some were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawings: Option<DrawingsMetrics>,
    /// Training and test pictures.
    pub dataset: DatasetMetrics,
    /// Recipe, curve and circumstances of the training.
    #[serde(flatten)]
    pub history: History,
}

/// Results on the test set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Share answered right, 0 to 1.
    pub accuracy: f64,
    /// Number answered wrong.
    pub errors: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share whose answer is not sure, right or wrong, 0 to 1.
    pub not_sure: f64,
    /// Number of pictures, `[label, digit answered]`; in the file, a list of rows.
    #[serde(with = "rows")]
    pub confusion: Array2<u32>,
}

/// What it was trained and measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetMetrics {
    /// Pictures to train with, the held-out ones included.
    pub train_pictures: usize,
    /// Pictures to measure with.
    pub test_pictures: usize,
}

impl Metrics {
    /// Puts together what is known after the test set was read.
    pub fn new(history: History, parameters: usize, dataset: &Dataset, answers: &Answers) -> Self {
        let test = TestMetrics {
            accuracy: answers.accuracy(),
            errors: answers.errors(),
            loss: answers.mean_loss(),
            not_sure: share_not_sure(answers),
            confusion: answers.confusion(),
        };
        let dataset =
            DatasetMetrics { train_pictures: dataset.train.len(), test_pictures: dataset.test.len() };
        Self { schema_version: SCHEMA_VERSION, parameters, test, drawings: None, dataset, history }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        files::write(path, text.as_bytes())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing or has another form.
    pub fn load(path: &Path) -> Result<Self> {
        serde_json::from_slice(&files::read_made_by("evaluate", path)?).with_context(|| {
            format!("{} is not what `decima-trainer evaluate` writes: evaluate again", path.display())
        })
    }
}

fn share_not_sure(answers: &Answers) -> f64 {
    let unsure = answers.certainties().iter().filter(|&&certainty| certainty < NOT_SURE).count();
    unsure as f64 / answers.len() as f64
}

/// The confusion as the file has it: ten rows of ten numbers.
mod rows {
    use serde::{Deserializer, Serializer};

    use super::{Array2, CLASSES, Deserialize, Serialize};

    type Rows = [[u32; CLASSES]; CLASSES];

    pub(super) fn serialize<S: Serializer>(table: &Array2<u32>, to: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<Vec<u32>> = table.rows().into_iter().map(|row| row.to_vec()).collect();
        rows.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Array2<u32>, D::Error> {
        Rows::deserialize(from).map(|rows| ndarray::arr2(&rows))
    }
}
