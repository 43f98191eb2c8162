//! The whole road of a correction: a style that the model misreads is corrected, learnt and read.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use decima_trainer::{cli::Cli, commands, metrics::Metrics};
use oip::{Datatype, Shape, Tensor};
use pictures::{decode, mnist};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    model_control::load,
    support::{Server, ServerBuilder, corrections::encode, get, infer, post},
};

/// Rows and columns of a drawing.
const SIDE: u32 = 140;

fn train(arguments: &[&str]) {
    let cli = Cli::try_parse_from([&["decima-trainer"], arguments].concat()).unwrap();
    commands::run(cli).unwrap();
}

/// A seven as nobody writes it: a bar below, with an arm at either end. The seed decides its size, place, slant and pen.
fn seven(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut between = |low: f32, high: f32| low + random.f32() * (high - low);
    let (height, width) = (between(70.0, 95.0), between(40.0, 60.0));
    let (top, left) = (between(15.0, 30.0), between(30.0, 45.0));
    let (slant, pen) = (between(-8.0, 12.0), between(3.5, 6.0));
    let (right, bottom) = (left + width, top + height);
    let corners = [(left + slant, top), (left, bottom), (right, bottom), (right + slant, top)];
    let mut pixels = Vec::new();
    for at in 0..SIDE * SIDE {
        let here = ((at % SIDE) as f32, (at / SIDE) as f32);
        let near = corners.windows(2).any(|line| distance(here, line[0], line[1]) < pen);
        pixels.extend([if near { 0 } else { 255 }; 3]);
    }
    encode(SIDE, SIDE, &pixels)
}

/// Distance of a point from a straight line between two others.
fn distance(point: (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (along, across) = (to.0 - from.0, to.1 - from.1);
    let share =
        ((point.0 - from.0) * along + (point.1 - from.1) * across) / (along * along + across * across);
    let share = share.clamp(0.0, 1.0);
    (point.0 - from.0 - share * along).hypot(point.1 - from.1 - share * across)
}

/// What the server reads.
fn read(server: &Server, picture: &[u8]) -> usize {
    let digit = mnist::digit(decode(picture, &decode::Limits::default()).unwrap().view()).unwrap();
    let values: Vec<u8> = digit.pixels.iter().flat_map(|&pixel| f32::from(pixel).to_le_bytes()).collect();
    let tensor =
        Tensor { datatype: Datatype::Fp32, shape: Shape::from(&[1, 28, 28, 1][..]), data: values.into() };
    let response = infer(&server.url(), "digits", &[("image", tensor)]).response();
    let (values, _) = response.outputs[0].1.data.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

/// Trains on prepared data, briefly, and publishes the next version; returns its accuracy on the test set.
fn publish(data: &Path, out: &Path, repository: &Path) -> f64 {
    let at = |folder: &Path, name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (data, model) = (at(data, ""), at(repository, "digits"));
    let (weights, metrics) = (at(out, "weights.safetensors"), at(out, "metrics.json"));
    let out = at(out, "");
    train(&["train", "--data", &data, "--epochs", "3", "--out", &out]);
    train(&["evaluate", "--data", &data, "--weights", &weights, "--out", &out]);
    train(&["export", "--weights", &weights, "--metrics", &metrics, "--out", &out]);
    train(&["publish", "--model", &format!("{out}/model.onnx"), "--to", &model]);
    Metrics::load(Path::new(&metrics)).unwrap().test.accuracy
}

#[test]
fn a_style_that_is_corrected_is_learnt_and_read() {
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name);
    let name = |name: &str| at(name).to_str().unwrap().to_owned();
    train(&["synth", "--train", "2000", "--test", "300", "--out", &name("synth")]);
    train(&["prepare", "--data", &name("synth"), "--out", &name("first")]);
    let server = ServerBuilder::new();
    let before = publish(&at("first"), &at("out"), server.models());
    let server = server.args(["--feedback", &name("feedback")]).start();

    // What is read afterwards is not what was corrected.
    let (corrected, others): (Vec<_>, Vec<_>) =
        ((0..20).map(seven).collect(), (100..130).map(seven).collect());
    let right = || others.iter().filter(|picture| read(&server, picture) == 7).count();
    assert!(right() <= 6, "the style is no surprise: {} of {} are right", right(), others.len());
    for picture in &corrected {
        let correction = json!({
            "model": "digits", "version": "1", "picture": STANDARD.encode(picture), "label": "7",
        });
        let url = format!("{}/feedback", server.url());
        let answer = post(&url, &[("content-type", "application/json")], correction.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    train(&["latest", "--from", &name("feedback"), "--data", &name("synth"), "--out", &name("second")]);
    let accuracy = publish(&at("second"), &at("out"), server.models());
    assert_eq!(load(&server, "digits").status, 200);
    let metadata = get(&format!("{}/v2/models/digits", server.url())).json();
    assert_eq!(metadata["versions"], json!(["2"]));
    assert!(right() >= 27, "{} of {} are right", right(), others.len());
    assert!(accuracy > before - 0.03, "all else is still read: {accuracy}, before {before}");
}
