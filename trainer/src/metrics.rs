//! `metrics.json`: the results of a training, for other programs to read.

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

/// Version of the file's format. It goes up when a field changes its meaning or is removed, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// [`SCHEMA_VERSION`] of the trainer that wrote the file.
    pub schema_version: u32,
    /// Number of trained parameters: weights, shifts (of batch norm) and biases.
    pub parameters: usize,
    /// Results on the test set, which neither training nor the choice of the epoch has used.
    pub test: TestMetrics,
    /// Results on the user's own labelled pictures, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawings: Option<DrawingsMetrics>,
    /// Size of the data set.
    pub dataset: DatasetMetrics,
    /// Hyperparameters, learning curve and circumstances of the training.
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
    /// Confusion matrix in pictures, `[label, digit answered]`. The file has it as a list of rows.
    #[serde(with = "rows")]
    pub confusion: Array2<u32>,
}

/// Size of the data set that the network was trained and measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetMetrics {
    /// Number of training pictures, including those held out.
    pub train_pictures: usize,
    /// Number of test pictures.
    pub test_pictures: usize,
}

impl Metrics {
    /// Collects the results, `answers` being those on the test set.
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
    /// When the file is missing or has another format.
    pub fn load(path: &Path) -> Result<Self> {
        serde_json::from_slice(&files::read_made_by("evaluate", path)?).with_context(|| {
            format!("{} is not a file that `decima-trainer evaluate` wrote: evaluate again", path.display())
        })
    }
}

fn share_not_sure(answers: &Answers) -> f64 {
    let unsure = answers.confidences().iter().filter(|&&confidence| confidence < NOT_SURE).count();
    unsure as f64 / answers.len() as f64
}

/// The confusion matrix in the file: ten rows of ten numbers.
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
