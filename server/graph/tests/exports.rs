//! Graphs exported by frameworks (see `exports/README.md`), each with the expected result of the row analysis.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use onnx_graph::{Analysis, RowAxes, analyse, read};

/// Name of the file, row axes of the inputs, row axes of the outputs.
type Proven = (&'static str, &'static [usize], &'static [usize]);

const INDEPENDENT: &[Proven] = &[
    ("autoencoder", &[0], &[0]),
    ("bagging", &[0], &[0, 0]),
    ("bert", &[0, 0, 0], &[0, 0]),
    ("bert_dynamo", &[0, 0, 0], &[0, 0]),
    ("bert_four_bits", &[0, 0, 0], &[0, 0]),
    ("bert_fused", &[0, 0, 0], &[0, 0]),
    ("bert_runtime_optimised", &[0, 0, 0], &[0, 0]),
    ("bert_sdpa", &[0, 0, 0], &[0, 0]),
    ("clip_image", &[0], &[0]),
    ("clip_text", &[0, 0], &[0]),
    ("convnext", &[0], &[0]),
    ("convnext_dynamo", &[0], &[0]),
    ("deberta", &[0, 0], &[0]),
    ("densenet", &[0], &[0]),
    ("distilbert", &[0, 0], &[0]),
    ("efficientnet", &[0], &[0]),
    ("gaussian_naive_bayes", &[0], &[0, 0]),
    ("gpt", &[0], &[0]),
    ("gradient_boosting", &[0], &[0, 0]),
    ("gru", &[0], &[0]),
    ("gru_last", &[0], &[0]),
    ("inception", &[0], &[0]),
    ("interactions", &[0, 0], &[0]),
    ("isolation_forest", &[0], &[0, 0]),
    ("k_means", &[0], &[0, 0]),
    ("last_token", &[0, 0], &[0]),
    ("lightgbm", &[0], &[0, 0]),
    ("logistic_regression", &[0], &[0, 0]),
    ("lstm", &[0], &[0]),
    ("lstm_last", &[0], &[0]),
    ("lstm_time_first", &[1], &[1]),
    ("magika", &[0], &[0]),
    ("minilm", &[0, 0, 0], &[0]),
    ("mobilenet_v2", &[0], &[0]),
    ("mobilenet_v3", &[0], &[0]),
    ("nearest_neighbours", &[0], &[0, 0]),
    ("paddle_text_direction", &[0], &[0]),
    ("perceptron", &[0], &[0, 0]),
    ("principal_components", &[0], &[0, 0]),
    ("random_forest", &[0], &[0, 0]),
    ("resnet", &[0], &[0]),
    ("resnet_any_size", &[0], &[0]),
    ("resnet_dynamo", &[0], &[0]),
    ("resnet_float16", &[0], &[0]),
    ("resnet_qdq", &[0], &[0]),
    ("resnet_qoperator", &[0], &[0]),
    ("roberta", &[0, 0], &[0]),
    ("shufflenet", &[0], &[0]),
    ("squeezenet", &[0], &[0]),
    ("svc", &[0], &[0, 0]),
    ("swin", &[0], &[0]),
    ("swin_hugging_face", &[0], &[0]),
    ("t5_encoder", &[0, 0], &[0]),
    ("unet_resized", &[0], &[0]),
    ("unet_transposed", &[0], &[0]),
    ("vgg", &[0], &[0]),
    ("vit", &[0], &[0]),
    ("vit_torchvision", &[0], &[0]),
    ("xgboost", &[0], &[0, 0]),
    ("yolo_v5", &[0], &[0]),
    ("yolo_v5_any_size", &[0], &[0]),
    ("yolo_v8", &[0], &[0]),
    ("yolo_v8_dynamo", &[0], &[0]),
];

/// Name of the file, and a part of the expected reason.
const NOT_INDEPENDENT: &[(&str, &str)] = &[
    ("batch_mean", "(ReduceMean) reduces over the rows"),
    ("batch_statistics", "(ReduceMean) reduces over the rows"),
    ("bert_dynamic_quantisation", "takes its scale from the whole batch"),
    ("graph_convolution", "'nodes' is the size of the rows, and also of another axis of input 'adjacency'"),
    ("in_batch_scores", "(MatMul) multiplies the rows of one input by those of the other"),
    ("one_image", "input 'input' has a fixed first dimension of 1"),
    ("random_noise", "(RandomNormalLike) draws random numbers"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/exports")
}

fn analysis(name: &str) -> Analysis {
    let bytes = fs::read(folder().join(format!("{name}.onnx"))).unwrap();
    analyse(&read(bytes.into()).unwrap())
}

#[test]
fn independent_rows_are_proven() {
    for (name, inputs, outputs) in INDEPENDENT {
        let expected = RowAxes { inputs: inputs.to_vec(), outputs: outputs.to_vec() };
        assert_eq!(analysis(name).rows, Ok(expected), "{name}");
    }
}

#[test]
fn other_rows_are_not_proven() {
    for (name, reason) in NOT_INDEPENDENT {
        let said = analysis(name).rows.expect_err(name).to_string();
        assert!(said.contains(reason), "{name}: {said}");
    }
}

#[test]
fn every_file_has_its_line() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".onnx").map(str::to_owned))
        .collect();
    let lines =
        INDEPENDENT.iter().map(|(name, ..)| *name).chain(NOT_INDEPENDENT.iter().map(|(name, _)| *name));
    assert_eq!(files, lines.map(str::to_owned).collect());
}
