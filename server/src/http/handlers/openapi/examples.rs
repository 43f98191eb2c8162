//! Example bodies for the digits model, which a server without arguments serves.

use serde_json::{Value, json};

/// Returns a request with a picture of a seven, as 28 rows of 28 pixels.
pub(super) fn infer_request() -> Value {
    let example = include_str!("../../../../../models/digits/example.json");
    serde_json::from_str(example).expect("the example of the digits model is JSON")
}

pub(super) fn classification_request() -> Value {
    let mut request = infer_request();
    request["outputs"] = json!([{ "name": "probabilities", "parameters": { "classification": 2 } }]);
    request
}

pub(super) fn predict_request() -> Value {
    let request = infer_request();
    let rows = request["inputs"][0]["data"].as_array().expect("rows of pixels");
    let pixel_by_pixel =
        rows.iter().map(|row| row.as_array().into_iter().flatten().map(|pixel| json!([pixel])).collect());
    json!({ "instances": [pixel_by_pixel.collect::<Vec<Value>>()] })
}

pub(super) fn probabilities() -> Value {
    json!([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
}

pub(super) fn infer_response() -> Value {
    json!({
        "model_name": "digits",
        "model_version": "1",
        "outputs": [
            { "name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": probabilities() }
        ],
    })
}

pub(super) fn model_metadata() -> Value {
    json!({
        "name": "digits",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{ "name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1] }],
        "outputs": [{ "name": "probabilities", "datatype": "FP32", "shape": [-1, 10] }],
    })
}

pub(super) fn model_configuration() -> Value {
    json!({
        "name": "digits",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": { "latest": { "num_versions": 1 } },
        "max_batch_size": 2_147_483_647,
        "input": [{ "name": "image", "data_type": "TYPE_FP32", "dims": [28, 28, 1] }],
        "output": [{ "name": "probabilities", "data_type": "TYPE_FP32", "dims": [10] }],
        "instance_group": [{ "name": "digits", "kind": "KIND_CPU", "count": 1 }],
        "parameters": {
            "batching": { "string_value": "on: the graph keeps rows apart" },
            "batching_mode": { "string_value": "adaptive" },
            "idle_session_threads": { "string_value": "0" },
            "image": { "string_value": "mnist" },
            "intra_op_threads": { "string_value": "1" },
            "joined_rows": { "string_value": "16" },
            "lanes": { "string_value": "1" },
            "returning_clients": { "string_value": "false" },
        },
    })
}

pub(super) fn statistics() -> Value {
    let once = json!({ "count": 1, "ns": 250_000 });
    let never = json!({ "count": 0, "ns": 0 });
    json!({ "model_stats": [{
        "name": "digits",
        "version": "1",
        "last_inference": 1_767_225_600_000_u64,
        "inference_count": 1,
        "execution_count": 1,
        "inference_stats": {
            "success": once, "fail": never, "queue": once, "compute_input": once, "compute_infer": once,
            "compute_output": once, "cache_hit": never, "cache_miss": never,
        },
        "response_stats": {},
        "batch_stats": [
            { "batch_size": 1, "compute_input": once, "compute_infer": once, "compute_output": once }
        ],
        "memory_usage": [],
    }] })
}

/// A seven in black on white, 28 x 28, as a PNG in base64.
const SEVEN: &str = concat!(
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAQ0lEQVR42sXSQQoAMAgDwf3/p9uzlE2gh9brIGKUFYp/yKx7RGce",
    "ndMi6ioU1BAoqPFRUIOnoJ6MgnpsCuqbkPDZa245t6d176zK4AAAAABJRU5ErkJggg==",
);

pub(super) fn correction() -> Value {
    json!({ "model": "digits", "version": "1", "picture": SEVEN, "label": "7" })
}

pub(super) fn stored() -> Value {
    json!({ "stored": "7/c19b3ae22c3755299ed4a86ce0650f7aed43dedd24d5057655741348f10e2d3c.png" })
}
