//! The exported model is valid, and ONNX Runtime gives the same answers as the trainer.

use std::path::Path;
use std::process::Command;

use decima_trainer::checkpoint::Checkpoint;
use decima_trainer::data::{PIXELS, Pictures, folder};
use decima_trainer::evaluate;

use crate::support::{cache, mnist, run_onnx, text, trained};

fn floats(pictures: &Pictures, scale: f32) -> Vec<f32> {
    pictures.pixels.iter().map(|&pixel| f32::from(pixel) * scale).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|value| value.is_finite()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn onnx_runtime_and_the_trainer_agree_on_every_test_picture() {
    let folder = trained();
    // The real test set if it is available: ten thousand pictures that the model was not trained on.
    let data = mnist().unwrap_or_else(|| folder.join("synth"));
    let test = folder::load(&data).unwrap().test;
    let checkpoint = Checkpoint::load(&folder.join("out/weights.safetensors")).unwrap();
    let indices: Vec<u32> = (0..test.len() as u32).collect();
    let answers = evaluate::answers(&checkpoint.folded, &test, &indices);
    let found = run_onnx(&folder.join("out/model.onnx"), floats(&test, 1.0));
    let mine: Vec<f32> = answers.probabilities.iter().copied().collect();
    let difference = largest_difference(&mine, &found);
    assert!(difference < 1e-4, "largest difference {difference}");
    for (row, digit) in found.chunks_exact(10).zip(answers.digits()) {
        assert_eq!(decima_trainer::nn::loss::largest(row), usize::from(digit));
    }
}

#[test]
fn the_brightness_scale_does_not_matter_and_an_empty_picture_is_no_fault() {
    let folder = trained();
    let model = folder.join("out/model.onnx");
    let test = folder::load(&folder.join("synth")).unwrap().test;
    let bytes = run_onnx(&model, floats(&test, 1.0));
    let difference = largest_difference(&bytes, &run_onnx(&model, floats(&test, 1.0 / 255.0)));
    assert!(difference < 1e-5, "0-255 and 0-1 differ by {difference}");
    let dim: Vec<f32> = floats(&test, 0.3);
    assert!(largest_difference(&bytes, &run_onnx(&model, dim)) < 1e-5);
    let sum: f32 = run_onnx(&model, vec![0.0; PIXELS]).iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "probabilities of an empty picture sum to {sum}");
}

#[test]
fn the_file_is_valid_for_the_onnx_checker() {
    let python = cache().join("venv-test/bin/python");
    assert!(python.is_file(), "{} is missing: run `scripts/setup python`", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_onnx.py");
    let model = trained().join("out/model.onnx");
    let output = Command::new(python).args([text(&script), text(&model)]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
