//! The shipped model on the real test set.

use std::path::Path;

use decima_trainer::data::folder;
use decima_trainer::metrics::Metrics;
use decima_trainer::nn::loss;

use crate::support::{mnist, run_onnx};

#[test]
fn the_shipped_model_reads_996_of_1000_real_digits() {
    let Some(data) = mnist() else { return };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/digits/1");
    let dataset = folder::load(&data).unwrap();
    let pictures = dataset.test.pixels.iter().map(|&pixel| f32::from(pixel)).collect();
    let probabilities = run_onnx(&shipped.join("model.onnx"), pictures);
    let rows = probabilities.chunks_exact(10).zip(&dataset.test.labels);
    let right = rows.filter(|(row, label)| loss::largest(row) == usize::from(**label)).count();
    let accuracy = right as f64 / dataset.test.len() as f64;
    assert!(accuracy >= 0.996, "accuracy {accuracy}");
    let metrics = Metrics::load(&shipped.join("metrics.json")).unwrap();
    assert!((metrics.test.accuracy - accuracy).abs() < 1e-9, "its metrics say {}", metrics.test.accuracy);
    assert_eq!(metrics.history.dataset_sha256, dataset.sha256());
}
