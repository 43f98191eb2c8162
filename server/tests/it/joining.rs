//! Rows of different requests are joined where the graph keeps them apart, and nowhere else.

use std::thread;

use oip::{Datatype, Tensor};
use serde_json::{Value, json};

use crate::support::{Server, ServerBuilder, get, infer, post, rows};

/// Clients that ask at the same time, and how often each does.
const CLIENTS: usize = 12;
const TURNS: usize = 25;

fn floats(values: &[f32], shape: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { datatype: Datatype::Fp32, shape: shape.into(), data: data.into() }
}

/// Numbers that are others for each client, some of them much larger.
fn numbers(client: usize, count: usize) -> Vec<f32> {
    let number = |index: usize| ((client * 31 + index * 17) % 23) as f32 / 7.0 - 1.5;
    (0..count).map(|index| number(index) * if client.is_multiple_of(4) { 50.0 } else { 1.0 }).collect()
}

fn outputs(server: &Server, model: &str, inputs: &[(&str, Tensor)]) -> (Vec<usize>, Vec<f32>) {
    let response = infer(&server.url(), model, inputs).response();
    let tensor = &response.outputs[0].1;
    let values = tensor.data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    (tensor.shape.0.to_vec(), values)
}

/// Whether what each client gets beside others is what it gets alone.
fn nobody_sees_the_others(
    server: &Server,
    model: &str,
    request: impl Fn(usize) -> Vec<(&'static str, Tensor)> + Sync,
) {
    let alone: Vec<_> = (0..CLIENTS).map(|client| outputs(server, model, &request(client))).collect();
    thread::scope(|scope| {
        for (client, expected) in alone.iter().enumerate() {
            let request = &request;
            scope.spawn(move || {
                for _ in 0..TURNS {
                    let (shape, values) = outputs(server, model, &request(client));
                    let close = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-3 * want.abs().max(1.0);
                    let same = shape == expected.0 && values.iter().zip(&expected.1).all(close);
                    assert!(same, "{model}: {values:?} beside others, {:?} alone", expected.1);
                }
            });
        }
    });
}

fn configured(server: &Server, model: &str) -> Value {
    get(&format!("{}/v2/models/{model}/config", server.url())).json()
}

fn batching(server: &Server, model: &str) -> String {
    configured(server, model)["parameters"]["batching"]["string_value"].as_str().unwrap().to_owned()
}

/// Rows of the largest batch of a model so far.
fn largest_batch(server: &Server, model: &str) -> u64 {
    let stats = get(&format!("{}/v2/models/{model}/stats", server.url())).json();
    let batches = stats["model_stats"][0]["batch_stats"].as_array().unwrap();
    batches.iter().map(|batch| batch["batch_size"].as_u64().unwrap()).max().unwrap_or(0)
}

#[test]
fn rows_that_mix_are_not_joined_and_the_reason_is_told() {
    let mixing = [
        ("softmax", rows::softmax_over_rows(), "(Softmax)", "over the rows"),
        ("extremes", rows::scaled_by_extremes(), "(ReduceM", "over the rows"),
        ("similarity", rows::similarity(), "(MatMul)", "multiplies the rows"),
        ("quantised", rows::quantised_dynamically(), "(DynamicQuantizeLinear)", "whole batch"),
        ("training", rows::normalised_in_training(), "(BatchNormalization)", "training mode"),
        ("running_sum", rows::running_sum(), "(CumSum)", "over the rows"),
    ];
    let add =
        |builder: ServerBuilder, (name, model, ..): &(&str, Vec<u8>, _, _)| builder.model(name, "1", model);
    let server = mixing.iter().fold(ServerBuilder::new(), add).args(["--threads", "1"]).start();
    let index = post(&format!("{}/v2/repository/index", server.url()), &[], b"").json();
    let log = server.log().join("\n");
    for (name, _, operator, reason) in mixing {
        nobody_sees_the_others(&server, name, |client| vec![("x", floats(&numbers(client, 6), &[2, 3]))]);
        let told = batching(&server, name);
        let operator = operator.trim_matches(['(', ')']);
        assert!(
            told.starts_with("off: ") && told.contains(operator) && told.contains(reason),
            "{name}: {told}"
        );
        assert!(told.contains("set max_batch_size in config.toml"), "{told}");
        assert_eq!(configured(&server, name)["max_batch_size"], 0);
        let entry = index.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        assert_eq!(
            (&entry["state"], &entry["reason"]),
            (&json!("READY"), &json!(format!("batching {told}")))
        );
        assert_eq!(log.matches(&format!("batching {told}")).count(), 1, "once in the log");
    }
}

#[test]
fn rows_that_do_not_mix_are_joined_whatever_their_axis_is_called() {
    let server = ServerBuilder::new()
        .model("dense", "1", &rows::dense_without_names())
        .model("sum", "1", &rows::sum_of_two_names())
        .model("masked", "1", &rows::masked_sum())
        .model("time", "1", &rows::sums_over_time())
        .args(["--threads", "1"])
        .start();
    nobody_sees_the_others(&server, "dense", |client| vec![("x", floats(&numbers(client, 3), &[1, 3]))]);
    nobody_sees_the_others(&server, "sum", |client| {
        ["a", "b"].map(|name| (name, floats(&numbers(client, 4), &[2, 2]))).to_vec()
    });
    nobody_sees_the_others(&server, "masked", |client| {
        let length = 2 + client % 3;
        ["x", "mask"].map(|name| (name, floats(&numbers(client, length), &[1, length]))).to_vec()
    });
    nobody_sees_the_others(&server, "time", |client| vec![("x", floats(&numbers(client, 12), &[3, 2, 2]))]);
    for model in ["dense", "sum", "masked", "time"] {
        assert!(batching(&server, model).starts_with("on: the graph keeps rows apart"), "{model}");
        let own = if model == "dense" || model == "masked" { 1 } else { 2 };
        assert!(largest_batch(&server, model) > own, "{model}: nobody was joined");
    }
    assert_eq!(
        configured(&server, "time")["max_batch_size"],
        0,
        "the format knows rows along the first axis alone"
    );
}

#[test]
fn an_operator_s_word_is_believed() {
    let server = ServerBuilder::new()
        .model("softmax", "1", &rows::softmax_over_rows())
        .file("softmax/config.toml", "max_batch_size = 8")
        .model("dense", "1", &rows::dense_without_names())
        .file("dense/config.toml", "max_batch_size = 0")
        .start();
    assert!(batching(&server, "softmax").starts_with("on: max_batch_size in config.toml says"));
    assert_eq!(configured(&server, "softmax")["max_batch_size"], 8);
    let warned = server.log().join("\n");
    assert!(warned.contains("says that rows are independent, but output 'y'"), "{warned}");
    assert!(batching(&server, "dense").starts_with("off: max_batch_size in config.toml is 0"));
}

#[test]
fn sizes_that_share_a_name_must_agree() {
    let server = ServerBuilder::new().model("masked", "1", &rows::masked_sum()).start();
    for (own, masked, symbol) in
        [([1, 5], [1, 3], "'seq'"), ([1, 5], [1, 1], "'seq'"), ([2, 3], [1, 3], "'N'")]
    {
        let of = |shape: [usize; 2]| floats(&vec![1.0; shape[0] * shape[1]], &shape);
        let error = infer(&server.url(), "masked", &[("x", of(own)), ("mask", of(masked))]).error();
        for part in [symbol, "'x'", "'mask'"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn one_row_of_an_input_that_has_another_name_is_repeated_as_onnx_lays_down() {
    let server = ServerBuilder::new().model("sum", "1", &rows::sum_of_two_names()).start();
    let inputs = [("a", floats(&[1.0, 2.0, 3.0, 4.0], &[2, 2])), ("b", floats(&[10.0, 20.0], &[1, 2]))];
    assert_eq!(outputs(&server, "sum", &inputs), (vec![2, 2], vec![11.0, 22.0, 13.0, 24.0]));
}

#[test]
fn a_model_without_shapes_takes_any() {
    let server = ServerBuilder::new().model("doubled", "1", &rows::doubled_in_any_shape()).start();
    for shape in [&[][..], &[2], &[2, 1, 3]] {
        let values: Vec<f32> = (0..shape.iter().product()).map(|index| index as f32).collect();
        let doubled = values.iter().map(|value| 2.0 * value).collect();
        assert_eq!(outputs(&server, "doubled", &[("x", floats(&values, shape))]), (shape.to_vec(), doubled));
    }
    assert!(batching(&server, "doubled").contains("input 'x' has no shape in the file"));
}
