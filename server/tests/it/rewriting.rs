//! Models that people have: what had to be rewritten before they could be served, and what no request may do to them.

use decima_server::executor::{BatchInput, Executor as _, ModelSource, OnnxExecutor, SessionOptions};
use oip::{Datatype, Shape};
use onnx_graph::{proto::data_type, rewrite};
use serde_json::{Value, json};

use crate::support::{Answer, Server, ServerBuilder, get, graphs, post, runtime};

fn ask(server: &Server, model: &str, inputs: &Value) -> Answer {
    let body = json!({ "inputs": inputs }).to_string();
    post(&format!("{}/v2/models/{model}/infer", server.url()), &[], body.as_bytes())
}

fn tensor(name: &str, datatype: &str, shape: &[usize], data: &Value) -> Value {
    json!({ "name": name, "datatype": datatype, "shape": shape, "data": data })
}

fn output(answer: &Answer, name: &str) -> Value {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let outputs = answer.json()["outputs"].clone();
    outputs.as_array().unwrap().iter().find(|output| output["name"] == name).unwrap().clone()
}

const INTEGERS: [(Datatype, i32); 8] = [
    (Datatype::Int8, data_type::INT8),
    (Datatype::Int16, data_type::INT16),
    (Datatype::Int32, data_type::INT32),
    (Datatype::Int64, data_type::INT64),
    (Datatype::Uint8, data_type::UINT8),
    (Datatype::Uint16, data_type::UINT16),
    (Datatype::Uint32, data_type::UINT32),
    (Datatype::Uint64, data_type::UINT64),
];

#[test]
fn no_division_ends_the_server() {
    let server = INTEGERS.iter().fold(ServerBuilder::new(), |builder, (datatype, element)| {
        builder.model(datatype.as_str(), "1", &graphs::division(*element))
    });
    let server = server.model("constants", "1", &graphs::division_of_constants()).start();
    for (datatype, _) in INTEGERS {
        let name = datatype.as_str();
        let divide = |a: &Value, b: &Value| {
            ask(&server, name, &json!([tensor("a", name, &[2], a), tensor("b", name, &[2], b)]))
        };
        let zero = divide(&json!([7, 8]), &json!([2, 0]));
        assert_eq!(zero.status, 400);
        assert!(zero.error().contains("division by zero"), "{name}: {zero:?}");
        if let Some(bits) = name.strip_prefix("INT").and_then(|bits| bits.parse::<u32>().ok()) {
            let least = i64::MIN >> (64 - bits);
            let wrapped = divide(&json!([least, 7]), &json!([-1, -2]));
            assert_eq!(output(&wrapped, "quotient")["data"], json!([least, -3]), "{name}");
            assert_eq!(output(&wrapped, "remainder")["data"], json!([0, -1]), "{name}");
            assert_eq!(output(&wrapped, "signed")["data"], json!([0, 1]), "{name}");
        }
        let whole = divide(&json!([7, 8]), &json!([2, 3]));
        assert_eq!(output(&whole, "quotient")["data"], json!([3, 2]), "{name}");
    }
    let folded = ask(&server, "constants", &json!([tensor("x", "INT64", &[1], &json!([1]))]));
    assert_eq!(output(&folded, "y")["data"], json!([i64::MIN + 1]));
}

#[test]
fn divisions_in_subgraphs_and_functions_are_found() {
    let server = ServerBuilder::new().model("m", "1", &graphs::nested_division()).start();
    for in_loop in [true, false] {
        let divide = |a: i64, b: i64| {
            let inputs = [
                tensor("a", "INT64", &[1], &json!([a])),
                tensor("b", "INT64", &[1], &json!([b])),
                tensor("in_loop", "BOOL", &[], &json!([in_loop])),
            ];
            ask(&server, "m", &json!(inputs))
        };
        assert_eq!(output(&divide(i64::MIN, -1), "q")["data"], json!([i64::MIN]));
        assert!(divide(1, 0).error().contains("division by zero"));
        assert_eq!(output(&divide(-7, 2), "q")["data"], json!([-3]));
    }
}

/// The next of a row of numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 16
}

/// Numbers in few bytes: small ones mostly, and all bits now and then. As a divisor neither 0 nor -1.
fn number(state: &mut u64, size: usize, is_divisor: bool) -> Vec<u8> {
    loop {
        let bits = if next(state).is_multiple_of(4) {
            (next(state) << 32) ^ next(state)
        } else {
            (next(state) % 40).wrapping_sub(20)
        };
        let bytes = bits.to_le_bytes()[..size].to_vec();
        let is_safe = bytes.iter().any(|byte| *byte != 0) && bytes.iter().any(|byte| *byte != 0xff);
        if !is_divisor || is_safe {
            return bytes;
        }
    }
}

#[test]
fn the_servers_own_division_gives_what_onnx_runtimes_does() {
    const SHAPES: [(&[usize], &[usize]); 8] = [
        (&[5], &[5]),
        (&[], &[]),
        (&[4, 3], &[3]),
        (&[4, 3], &[4, 1]),
        (&[1], &[2, 3]),
        (&[2, 1, 3], &[4, 1]),
        (&[3, 1, 2], &[1, 5, 1]),
        (&[0, 2], &[1]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut state = 7;
    for (datatype, element) in INTEGERS {
        let bytes = graphs::division(element);
        std::fs::write(&path, &bytes).unwrap();
        let guarded = rewrite::guard(&bytes, &onnx_graph::read(bytes.clone().into()).unwrap()).unwrap();
        assert_eq!(guarded.nodes.len(), 3);
        let load = |source: &ModelSource| {
            OnnxExecutor::load(runtime(), source, &SessionOptions::new("", 1)).unwrap().0
        };
        let mut original = load(&ModelSource::file(&path));
        let mut own = load(&ModelSource::file(&path).with_checks(guarded.bytes));
        for turn in 0..40 {
            let (first, second) = SHAPES[turn % SHAPES.len()];
            let size = datatype.size().unwrap();
            let mut numbers = |shape: &Shape, is_divisor| -> Vec<u64> {
                let count = shape.elements().unwrap();
                let bytes: Vec<u8> = (0..count).flat_map(|_| number(&mut state, size, is_divisor)).collect();
                let mut words = vec![0_u64; bytes.len().div_ceil(8)];
                bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(&bytes);
                words
            };
            let shapes: [Shape; 2] = [first.into(), second.into()];
            let words = [numbers(&shapes[0], false), numbers(&shapes[1], true)];
            let input = |position: usize| {
                let shape = &shapes[position];
                let data = &bytemuck::cast_slice(&words[position])[..shape.elements().unwrap() * size];
                BatchInput { position, datatype, shape, data }
            };
            let inputs = [input(0), input(1)];
            let (expected, actual) =
                (original.execute(&inputs, None).unwrap(), own.execute(&inputs, None).unwrap());
            for (expected, actual) in expected.iter().zip(&actual) {
                assert_eq!(
                    (&expected.shape, &expected.data),
                    (&actual.shape, &actual.data),
                    "{datatype} {shapes:?}"
                );
            }
        }
    }
}

#[test]
fn tensors_in_other_files_are_found_beside_a_file_that_was_rewritten() {
    let server = ServerBuilder::new()
        .model("m", "1", &graphs::division_with_external_data())
        .file("m/1/weights.bin", [0.5_f32, 2.0].map(f32::to_le_bytes).concat())
        .start();
    let inputs = [
        tensor("a", "INT64", &[1], &json!([i64::MIN])),
        tensor("b", "INT64", &[1], &json!([-1])),
        tensor("x", "FP32", &[2], &json!([1, 1])),
    ];
    let answer = ask(&server, "m", &json!(inputs));
    assert_eq!(output(&answer, "z")["data"], json!([1.5, 3.0]));
    assert_eq!(output(&answer, "q")["data"], json!([i64::MIN]));
}

#[test]
fn a_classifier_with_maps_is_served_as_a_tensor_with_its_classes_as_labels() {
    let server = ServerBuilder::new()
        .model("m", "1", &graphs::classifier(&["cat", "dog", "fox"]))
        .model("other", "1", &graphs::classifier(&["cat", "dog", "fox"]))
        .file("other/config.toml", "labels = [\"Katze\", \"Hund\", \"Fuchs\"]")
        .start();
    let line = server.wait_for("ZipMap");
    assert!(line.to_string().contains("scores"), "{line}");
    let metadata = get(&format!("{}/v2/models/m", server.url())).json();
    assert_eq!(metadata["outputs"][1], json!({ "name": "scores", "datatype": "FP32", "shape": [-1, 3] }));
    let x = tensor("x", "FP32", &[2, 3], &json!([0, 20, 0, 20, 0, 0]));
    let answer = ask(&server, "m", &json!([x]));
    assert_eq!(output(&answer, "label")["data"], json!([1, 0]));
    assert_eq!(output(&answer, "scores")["shape"], json!([2, 3]));
    for (model, classes) in [("m", ["dog", "cat"]), ("other", ["Hund", "Katze"])] {
        let wanted = json!({ "name": "scores", "parameters": { "classification": 1 } });
        let body = json!({ "inputs": [x], "outputs": [wanted] }).to_string();
        let answer = post(&format!("{}/v2/models/{model}/infer", server.url()), &[], body.as_bytes());
        let best = output(&answer, "scores")["data"].clone();
        assert_eq!(best, json!([format!("1.000000:1:{}", classes[0]), format!("1.000000:0:{}", classes[1])]));
    }
}

#[test]
fn what_cannot_be_carried_is_refused_with_a_way_out() {
    let mut server = ServerBuilder::new().model("m", "1", &graphs::sequence()).start_to_fail();
    assert!(!server.wait().success());
    let log = server.log().join("\n");
    assert!(log.contains("'parts' is a") && log.contains("ConcatFromSequence"), "{log}");
}

#[test]
fn texts_are_lowered_whichever_locales_the_machine_has() {
    let server = ServerBuilder::new().model("m", "1", &graphs::lower_case()).start();
    let answer = ask(&server, "m", &json!([tensor("text", "BYTES", &[3], &json!(["ÄÖÜ", "ΩЖ", "Rust"]))]));
    assert_eq!(output(&answer, "lower")["data"], json!(["äöü", "ωж", "rust"]));
}

#[test]
fn an_input_with_a_default_may_be_left_out() {
    let server = ServerBuilder::new().model("m", "1", &graphs::threshold()).start();
    let x = tensor("x", "FP32", &[3], &json!([0.2, 0.4, 0.6]));
    let answer = ask(&server, "m", &json!([x]));
    assert_eq!(output(&answer, "y")["data"], json!([false, false, true]));
    let threshold = tensor("threshold", "FP32", &[1], &json!([0.3]));
    for inputs in [json!([x, threshold]), json!([threshold, x])] {
        assert_eq!(output(&ask(&server, "m", &inputs), "y")["data"], json!([false, true, true]));
    }
    assert_eq!(output(&ask(&server, "m", &json!([x])), "y")["data"], json!([false, false, true]));
    assert!(ask(&server, "m", &json!([threshold])).error().contains("'x'"));
}

#[test]
fn a_sequence_without_anything_in_it_ends_no_server() {
    let server = ServerBuilder::new()
        .model("lstm", "1", &graphs::recurrent("LSTM", 4))
        .model("gru", "1", &graphs::recurrent("GRU", 3))
        .model("spectrum", "1", &graphs::spectrum())
        .start();
    for model in ["lstm", "gru"] {
        let run = |steps: usize, batch: usize| {
            let data = vec![0.5_f32; steps * batch * 2];
            ask(&server, model, &json!([tensor("x", "FP32", &[steps, batch, 2], &json!(data))]))
        };
        assert_eq!(run(2, 0).status, 400, "{model}");
        assert_eq!(output(&run(2, 1), "y")["shape"], json!([1, 1, 3]));
    }
    let without_steps = ask(&server, "gru", &json!([tensor("x", "FP32", &[0, 1, 2], &json!([]))]));
    assert_eq!(without_steps.status, 400);
    let x = tensor("x", "FP32", &[1, 8, 1], &json!([1, 2, 3, 4, 5, 6, 7, 8]));
    let frames =
        |frame: i64| ask(&server, "spectrum", &json!([x, tensor("frame", "INT64", &[], &json!([frame]))]));
    for frame in [0, -1, i64::MIN] {
        assert!(frames(frame).error().contains("must be at least 1"));
    }
    assert_eq!(output(&frames(4), "y")["shape"], json!([1, 3, 3, 2]));
}

#[test]
fn tensors_without_elements_end_no_server() {
    let server = ServerBuilder::new()
        .model("tail", "1", &graphs::normalised_tail())
        .model("rows", "1", &graphs::different_rows())
        .model("conv", "1", &graphs::convolution_with_own_weights())
        .start();
    let x = |shape: &[usize]| tensor("x", "FP32", shape, &json!(vec![0.5_f32; shape.iter().product()]));
    for (model, empty, good) in [("tail", [1, 3, 1], [1, 3, 4]), ("tail", [2, 3, 1], [2, 3, 3])] {
        assert_eq!(ask(&server, model, &json!([x(&empty)])).status, 400);
        assert_eq!(ask(&server, model, &json!([x(&good)])).status, 200);
    }
    for empty in [[0, 3], [3, 0]] {
        assert_eq!(ask(&server, "rows", &json!([x(&empty)])).status, 400);
    }
    assert_eq!(output(&ask(&server, "rows", &json!([x(&[3, 2])])), "y")["shape"], json!([1, 2]));
    let weights =
        |shape: &[usize]| tensor("weights", "FP32", shape, &json!(vec![1.0_f32; shape.iter().product()]));
    for kernel in [0, 1] {
        let answer = ask(
            &server,
            "conv",
            &json!([x(&[1, 1, 4]), weights(&[usize::from(kernel == 1) * 2, 1, kernel])]),
        );
        assert_eq!(answer.status, if kernel == 0 { 400 } else { 200 }, "{answer:?}");
    }
}
