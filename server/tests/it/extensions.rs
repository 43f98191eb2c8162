//! What Triton's clients ask for beside inference: configuration and statistics.

use std::thread;

use oip::{Datatype, Tensor};
use serde_json::{Value, json};

use crate::support::{Server, ServerBuilder, get, infer, models, post};

fn numbers(values: &[i64]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { datatype: Datatype::Int64, shape: [values.len()].as_slice().into(), data: data.into() }
}

fn statistics(server: &Server, path: &str) -> Vec<Value> {
    let answer = get(&format!("{}/v2/models/{path}", server.url()));
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()["model_stats"].as_array().unwrap().clone()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn count(statistics: &Value, name: &str) -> u64 {
    statistics["inference_stats"][name]["count"].as_u64().unwrap()
}

#[test]
fn statistics_have_every_key_of_triton_and_count_what_was_done() {
    let server = ServerBuilder::new().model("table", "3", &models::table()).start();
    let before = &statistics(&server, "table/stats")[0];
    let all = [
        "name",
        "version",
        "last_inference",
        "inference_count",
        "execution_count",
        "inference_stats",
        "response_stats",
        "batch_stats",
        "memory_usage",
    ];
    let mut expected = all.to_vec();
    expected.sort_unstable();
    let mut found = keys(before);
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((&before["version"], &before["last_inference"]), (&json!("3"), &json!(0)));
    let nothing = json!({ "count": 0, "ns": 0 });
    let by_request = [
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
        "cache_hit",
        "cache_miss",
    ];
    assert_eq!(before["inference_stats"].as_object().unwrap().len(), by_request.len());
    for name in by_request {
        assert_eq!(before["inference_stats"][name], nothing, "{name}");
    }

    for _ in 0..3 {
        assert_eq!(infer(&server.url(), "table", &[("index", numbers(&[1, 2]))]).status, 200);
    }
    assert_eq!(infer(&server.url(), "table", &[("index", numbers(&[3]))]).status, 200);
    assert_eq!(infer(&server.url(), "table", &[("index", numbers(&[99]))]).status, 400, "fails in the run");
    assert_eq!(post(&format!("{}/v2/models/table/infer", server.url()), &[], b"{").status, 400);
    let after = &statistics(&server, "table/versions/3/stats")[0];
    assert_eq!((&after["inference_count"], &after["execution_count"]), (&json!(7), &json!(4)));
    for (name, expected) in [("success", 4), ("fail", 2), ("queue", 4), ("cache_hit", 0), ("cache_miss", 0)] {
        assert_eq!(count(after, name), expected, "{name}");
    }
    for name in ["compute_input", "compute_infer", "compute_output"] {
        assert_eq!(count(after, name), 4, "{name}");
        assert!(
            after["inference_stats"][name]["ns"].as_u64()
                < after["inference_stats"]["success"]["ns"].as_u64()
        );
    }
    assert!(after["last_inference"].as_u64().unwrap() > 1_700_000_000_000, "milliseconds since 1970");
    let sizes: Vec<_> = after["batch_stats"].as_array().unwrap().iter().collect();
    assert_eq!(keys(sizes[0]).len(), 4);
    let sizes: Vec<_> = sizes
        .iter()
        .map(|size| (size["batch_size"].as_u64().unwrap(), size["compute_infer"]["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(sizes, [(1, 1), (2, 3)]);
    assert_eq!((&after["response_stats"], &after["memory_usage"]), (&json!({}), &json!([])));
}

#[test]
fn joined_requests_count_each_and_their_run_once() {
    let server = ServerBuilder::new().model("slow", "1", &models::slow()).args(["--threads", "1"]).start();
    let infer_url = format!("{}/v2/models/slow/infer", server.url());
    thread::scope(|scope| {
        for _ in 0..16 {
            let body = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[2,1,1],"data":[1,2]}]}"#;
            scope.spawn(|| assert_eq!(post(&infer_url, &[], body).status, 200));
        }
    });
    let slow = &statistics(&server, "slow/stats")[0];
    let executions = slow["execution_count"].as_u64().unwrap();
    assert_eq!(slow["inference_count"], 32);
    assert!(executions < 16, "{executions} runs for 16 requests");
    for name in ["success", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert_eq!(count(slow, name), 16, "{name}");
    }
    let sizes = slow["batch_stats"].as_array().unwrap();
    let sum = |of: &dyn Fn(&Value) -> u64| sizes.iter().map(of).sum::<u64>();
    let runs = |size: &Value| size["compute_infer"]["count"].as_u64().unwrap();
    assert_eq!(sum(&runs), executions);
    assert_eq!(sum(&|size| runs(size) * size["batch_size"].as_u64().unwrap()), 32);
}

#[test]
fn statistics_are_of_one_version_of_one_model_or_of_all() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new()
        .model("m", "1", &onnx)
        .model("m", "2", &onnx)
        .file("m/config.toml", "version_policy = \"all\"")
        .model("stats", "1", &onnx)
        .start();
    let named = |path: &str| -> Vec<String> {
        let of = |entry: &Value| {
            format!("{}/{}", entry["name"].as_str().unwrap(), entry["version"].as_str().unwrap())
        };
        statistics(&server, path).iter().map(of).collect()
    };
    assert_eq!(named("m/versions/1/stats"), ["m/1"]);
    assert_eq!(named("m/stats"), ["m/1", "m/2"]);
    assert_eq!(named("stats"), ["m/1", "m/2", "stats/1"]);
    // A model may have the name of a path: what is left of its own paths answers.
    assert_eq!(named("stats/stats"), ["stats/1"]);
    let url = format!("{}/v2/models", server.url());
    assert_eq!(get(&format!("{url}/stats/versions/1")).json()["name"], "stats");
    assert_eq!(get(&format!("{url}/stats/ready")).status, 200);
    for path in ["x/stats", "m/versions/9/stats", "x/config", "m/versions/9/config"] {
        let answer = get(&format!("{url}/{path}"));
        assert_eq!(answer.status, 404, "{}", answer.error());
    }
}

#[test]
fn the_configuration_is_what_perf_analyzer_reads() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Bytes))
        .model("small", "1", &models::identity(Datatype::Fp32))
        .file("small/config.toml", "max_batch_size = 4\n[instance_group]\ncount = 3")
        .model("total", "1", &models::sum_of_rows())
        .start();
    let config = |path: &str| get(&format!("{}/v2/models/{path}/config", server.url())).json();
    let free = config("m");
    assert_eq!((&free["name"], &free["platform"]), (&json!("m"), &json!("onnxruntime_onnx")));
    assert_eq!((&free["backend"], &free["max_batch_size"]), (&json!("onnxruntime"), &json!(i32::MAX)));
    assert_eq!(free["input"], json!([{ "name": "x", "data_type": "TYPE_STRING", "dims": [2] }]));
    assert_eq!(free["output"], json!([{ "name": "y", "data_type": "TYPE_STRING", "dims": [2] }]));
    let none = json!({ "preferred_batch_size": [], "max_queue_delay_microseconds": 0 });
    assert_eq!(free["dynamic_batching"], none);
    let small = config("small/versions/1");
    assert_eq!(small["max_batch_size"], 4);
    assert_eq!(small["instance_group"], json!([{ "name": "small", "kind": "KIND_CPU", "count": 3 }]));
    let total = config("total");
    assert_eq!(total["max_batch_size"], 0);
    assert_eq!((&total["input"][0]["dims"], &total["output"][0]["dims"]), (&json!([-1, 2]), &json!([2])));
    assert_eq!(total.get("dynamic_batching"), None);
    let extensions = get(&format!("{}/v2", server.url())).json()["extensions"].clone();
    for name in ["statistics", "model_configuration"] {
        assert!(extensions.as_array().unwrap().contains(&json!(name)), "{extensions}");
    }
}
