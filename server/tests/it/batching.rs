//! Batching: everyone gets their own answer, whoever else is about.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use decima_server::executor::{BatchInput, BySize, Executor as _, ModelSource, OnnxExecutor, SessionOptions};
use oip::{Datatype, Shape, Tensor};
use smallvec::smallvec;

use crate::support::{Server, ServerBuilder, get, infer, infer_binary, models, post, runtime};

fn floats(values: &[f32], shape: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { datatype: Datatype::Fp32, shape: shape.into(), data: data.into() }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The sum and the count of a histogram.
fn histogram(server: &Server, name: &str) -> (f64, f64) {
    let metrics = get(&format!("{}/metrics", server.url()));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let value = |suffix: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{suffix}")));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    };
    (value("_sum"), value("_count"))
}

#[test]
fn two_bad_clients_fail_none_of_eight_good_ones() {
    let server = ServerBuilder::new().model("table", "1", &models::table()).start();
    let (url, good) = (server.url(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..8_i64 {
            let (url, good) = (&url, &good);
            scope.spawn(move || {
                for turn in 0..100_i64 {
                    let indices = [(client + turn) % 4, turn % 4];
                    let data = indices.map(i64::to_le_bytes).concat();
                    let tensor =
                        Tensor { datatype: Datatype::Int64, shape: Shape(smallvec![2]), data: data.into() };
                    let send = if turn % 2 == 0 { infer } else { infer_binary };
                    let response = send(url, "table", &[("index", tensor)]).response();
                    assert_eq!(values(&response.outputs[0].1), indices.map(|index| 10.0 + index as f32));
                    good.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Wrong in every way that a check can see, and in one that only ONNX Runtime finds out.
        for (body, status) in [
            (r#"{"inputs":[{"name":"index","datatype":"INT64","shape":[1,1],"data":[1]}]}"#, 400),
            (r#"{"inputs":[{"name":"index","datatype":"FP32","shape":[1],"data":[1]}]}"#, 400),
            (r#"{"inputs":[{"name":"index","datatype":"INT64","shape":[1],"data":[NaN]}]}"#, 400),
            (r#"{"inputs":[{"name":"index","datatype":"INT64","shape":[1],"data":[1"#, 400),
            (r#"{"inputs":[{"name":"index","datatype":"INT64","shape":[2],"data":[1,99]}]}"#, 400),
        ] {
            let url = &url;
            scope.spawn(move || {
                for _ in 0..40 {
                    let answer = post(&format!("{url}/v2/models/table/infer"), &[], body.as_bytes());
                    assert_eq!(answer.status, status, "{}", answer.error());
                }
            });
        }
    });
    assert_eq!(good.load(Ordering::Relaxed), 800);
}

#[test]
fn waiting_rows_join_one_run() {
    let server = ServerBuilder::new().model("slow", "1", &models::slow()).args(["--threads", "1"]).start();
    let url = server.url();
    thread::scope(|scope| {
        for client in 0..16_u8 {
            let url = &url;
            scope.spawn(move || {
                let x = f32::from(client) + 1.0;
                let response = infer(url, "slow", &[("x", floats(&[x], &[1, 1, 1]))]).response();
                assert!((values(&response.outputs[0].1)[0] - x).abs() < x * 1e-3);
            });
        }
    });
    let (rows, batches) = histogram(&server, "decima_batch_rows");
    assert_eq!(rows as usize, 16);
    assert!(batches < 16.0, "{batches} runs for 16 rows: those that came while another ran wait together");
}

#[test]
fn several_inputs_and_outputs_keep_together() {
    let server = ServerBuilder::new().model("pair", "1", &models::two_inputs()).start();
    let url = server.url();
    thread::scope(|scope| {
        for client in 1..9_u8 {
            let url = &url;
            scope.spawn(move || {
                for rows in 1..20_usize {
                    let (left, right) = (vec![f32::from(client); rows], vec![0.5; rows]);
                    // In any order: the model's own order is what counts.
                    let inputs = [("right", floats(&right, &[rows])), ("left", floats(&left, &[rows]))];
                    let response = infer_binary(url, "pair", &inputs).response();
                    assert_eq!(response.outputs[0].0, "sum");
                    assert_eq!(values(&response.outputs[0].1), vec![f32::from(client) + 0.5; rows]);
                    assert_eq!(values(&response.outputs[1].1), vec![f32::from(client) - 0.5; rows]);
                }
            });
        }
    });
    let unequal = [("left", floats(&[1.0, 2.0], &[2])), ("right", floats(&[1.0], &[1]))];
    let error = infer(&url, "pair", &unequal).error();
    assert!(error.contains("'right' has 1 for 'N'"), "{error}");
}

#[test]
fn what_has_no_batch_axis_is_never_joined() {
    let server = ServerBuilder::new()
        .model("total", "1", &models::sum_of_rows())
        .model("fixed", "1", &models::identity_of(Datatype::Fp32, &["2", "2"], &["2", "2"]))
        .start();
    let url = server.url();
    thread::scope(|scope| {
        for client in 1..9_u8 {
            let url = &url;
            scope.spawn(move || {
                let x = f32::from(client);
                for rows in 1..10_usize {
                    let tensor = floats(&vec![x; rows * 2], &[rows, 2]);
                    let response = infer(url, "total", &[("x", tensor)]).response();
                    assert_eq!(values(&response.outputs[0].1), [x * rows as f32; 2], "its own rows only");
                    let fixed = infer(url, "fixed", &[("x", floats(&[x; 4], &[2, 2]))]).response();
                    assert_eq!(values(&fixed.outputs[0].1), [x; 4]);
                }
            });
        }
    });
}

#[test]
fn shapes_that_differ_in_more_than_rows_are_kept_apart() {
    let onnx = models::identity_of(Datatype::Fp32, &["N", "length"], &["N", "length"]);
    let server = ServerBuilder::new().model("lengths", "1", &onnx).start();
    let url = server.url();
    thread::scope(|scope| {
        for client in 1..9_usize {
            let url = &url;
            scope.spawn(move || {
                for turn in 1..20_usize {
                    let (rows, length) = (1 + turn % 3, 1 + (client + turn) % 4);
                    let tensor = floats(&vec![client as f32; rows * length], &[rows, length]);
                    let response = infer_binary(url, "lengths", &[("x", tensor.clone())]).response();
                    assert_eq!(response.outputs[0].1, tensor);
                }
            });
        }
    });
}

#[test]
fn a_request_beyond_the_model_s_batch_size_is_told_the_limit() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .file("m/config.toml", "max_batch_size = 4")
        .model("free", "1", &models::identity(Datatype::Fp32))
        .args(["--max-queue-rows", "100"])
        .start();
    let rows = |model: &str, rows: usize| {
        infer(&server.url(), model, &[("x", floats(&vec![1.0; rows * 2], &[rows, 2]))])
    };
    assert_eq!(rows("m", 4).status, 200);
    let error = rows("m", 5).error();
    assert!(error.contains("at most 4") && error.contains("max_batch_size"), "{error}");
    // What may wait does not bound what a single request brings.
    for count in [100, 101, 7000] {
        assert_eq!(rows("free", count).status, 200, "{count} rows");
    }
}

#[test]
fn sessions_of_one_size_answer_as_one_for_all_sizes_does() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/1/model.onnx"));
    let load =
        || OnnxExecutor::load(runtime(), &ModelSource::file(path), &SessionOptions::new("", 1)).unwrap();
    let (mut one, signature) = load();
    let mut by_size = BySize::new([1, 4, 16].map(|rows| (rows, load().0)));
    for rows in [1, 2, 3, 4, 5, 11, 16, 17, 40] {
        let mut shape = Shape(signature.inputs[0].shape().iter().map(|&size| size.max(1) as usize).collect());
        shape.0[0] = rows;
        let pixels: Vec<f32> =
            (0..shape.elements().unwrap()).map(|pixel| (pixel * 37 % 256) as f32 / 255.0).collect();
        let input = BatchInput {
            position: 0,
            datatype: Datatype::Fp32,
            shape: &shape,
            data: bytemuck::cast_slice(&pixels),
        };
        let (expected, answers) =
            (one.execute(&[input], None).unwrap(), by_size.execute(&[input], None).unwrap());
        assert_eq!(answers.len(), expected.len());
        for (answer, expected) in answers.iter().zip(&expected) {
            assert_eq!((answer.datatype, &answer.shape), (expected.datatype, &expected.shape));
            let near = |(one, other): (&f32, &f32)| (one - other).abs() < 1e-5;
            assert!(values(answer).iter().zip(&values(expected)).all(near), "{rows} rows");
        }
    }
}
