//! Training: the network learns, and the same seed gives the same model.

use std::fs;

use decima_trainer::metrics::Metrics;
use tempfile::TempDir;

use crate::support::{succeed, text, trained};

#[test]
fn drawn_digits_are_learnt() {
    let metrics = Metrics::load(&trained().join("out/metrics.json")).unwrap();
    assert!(metrics.test.accuracy > 0.9, "accuracy {}", metrics.test.accuracy);
    let counted: u32 = metrics.test.confusion.sum();
    assert_eq!(counted, 500);
    assert!(metrics.parameters <= 100_000);
}

#[test]
fn the_same_seed_gives_the_same_file_whatever_the_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let data = trained().join("synth");
    let model = |name: &str, seed: &str, threads: &str| {
        let out = folder.path().join(name);
        let recipe = ["--epochs", "1", "--seed", seed, "--threads", threads];
        let place = ["run", "--mnist", text(&data), "--out", text(&out)];
        succeed(&[&place[..], &recipe[..]].concat());
        fs::read(out.join("model.onnx")).unwrap()
    };
    let first = model("one", "5", "1");
    assert!(first == model("three", "5", "3"), "one and three threads give different models");
    assert!(first == model("two", "5", "2"), "one and two threads give different models");
    assert!(first != model("other", "6", "2"), "two seeds give the same model");
}

#[test]
fn the_steps_one_by_one_give_what_run_gives() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = trained().join("synth");
    succeed(&["fetch", "--from", text(&data), "--out", &at("fetched")]);
    succeed(&["prepare", "--data", &at("fetched"), "--out", &at("prepared")]);
    succeed(&["train", "--data", &at("prepared"), "--epochs", "3", "--out", &at("out")]);
    let weights = at("out/weights.safetensors");
    succeed(&["evaluate", "--data", &at("prepared"), "--weights", &weights, "--out", &at("out")]);
    let metrics = at("out/metrics.json");
    succeed(&["export", "--weights", &weights, "--metrics", &metrics, "--out", &at("out")]);
    let stepwise = fs::read(at("out/model.onnx")).unwrap();
    assert!(stepwise == fs::read(trained().join("out/model.onnx")).unwrap());
}
