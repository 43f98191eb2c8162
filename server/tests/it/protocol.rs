//! The protocol's endpoints over HTTP, and its errors.

use oip::Datatype;
use serde_json::json;

use crate::support::{Answer, Server, ServerBuilder, get, models, post};

fn server() -> Server {
    ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("whole", "1", &models::identity(Datatype::Int8))
        .model("pair", "1", &models::two_inputs())
        .start()
}

#[test]
fn the_server_and_its_models_describe_themselves() {
    let server = server();
    let url = server.url();
    for path in ["/v2", "/v2/"] {
        let metadata = get(&format!("{url}{path}")).json();
        assert_eq!(metadata["name"], "decima");
        assert!(metadata["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")));
    }
    assert_eq!(get(&format!("{url}/v2/health/live")).json(), json!({ "live": true }));
    assert_eq!(get(&format!("{url}/v2/health/ready")).json(), json!({ "live": true, "ready": true }));
    assert_eq!(get(&format!("{url}/v2/models")).json(), json!({ "models": ["m", "pair", "whole"] }));
    for path in ["/v2/models/m/ready", "/v2/models/m/versions/1/ready", "/v2/models/%6D/ready"] {
        assert_eq!(get(&format!("{url}{path}")).json(), json!({ "name": "m", "ready": true }), "{path}");
    }
    assert_eq!(
        get(&format!("{url}/v2/models/m")).json(),
        get(&format!("{url}/v2/models/m/versions/1")).json()
    );
}

#[test]
fn what_is_not_there_is_404_and_a_wrong_method_is_405() {
    let server = server();
    let url = server.url();
    for path in
        ["/v3", "/v2/models/none", "/v2/models/none/ready", "/v2/models/m/versions/9", "/v2/models/m/nothing"]
    {
        let answer = get(&format!("{url}{path}"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.error());
    }
    assert_eq!(post(&format!("{url}/v2/models/none/infer"), &[], b"{}").status, 404);
    assert_eq!(post(&format!("{url}/v2/models/m/versions/9/infer"), &[], b"{}").status, 404);
    let answer = get(&format!("{url}/v2/models/m/infer"));
    assert_eq!(
        (answer.status, answer.headers["allow"].to_str().unwrap()),
        (405, "POST"),
        "{}",
        answer.error()
    );
    let answer = post(&format!("{url}/v2/health/ready"), &[], b"");
    assert_eq!(
        (answer.status, answer.headers["allow"].to_str().unwrap()),
        (405, "GET,HEAD"),
        "{}",
        answer.error()
    );
    assert_eq!(get(&format!("{url}/v2/models/%FF/ready")).status, 400, "a name that is not UTF-8");
}

#[test]
fn json_is_read_flat_and_nested_and_answered_flat() {
    let server = server();
    let infer = format!("{}/v2/models/m/infer", server.url());
    let expected = json!({
        "model_name": "m",
        "model_version": "1",
        "outputs": [{ "name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.5, -3.0, 0.001] }],
    });
    for body in [
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2.5,-3,1e-3]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3,1e-3]]}]}"#,
        r#" { "model_name": "other", "inputs" : [ { "data":[ [1 , 2.5],-3,0.001], "datatype":"fp32","name":"x","shape":[2,2]} ] , "outputs":[]} "#,
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2.5,-3,1e-3]}],"outputs":[{"name":"y"}],"id":null}"#,
    ] {
        let answer = post(&infer, &[], body.as_bytes());
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.json(), expected, "{body}");
    }
    // Whatever it calls itself: clients are known that say nothing, or the wrong thing.
    for content_type in
        ["application/octet-stream", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"]
    {
        let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
        assert_eq!(post(&infer, &[("content-type", content_type)], body.as_bytes()).status, 200);
    }
}

#[test]
fn ids_and_requested_outputs_come_back_as_asked() {
    let server = server();
    let infer = format!("{}/v2/models/pair/infer", server.url());
    let inputs = r#""inputs":[{"name":"left","shape":[1],"datatype":"FP32","data":[3]},{"name":"right","shape":[1],"datatype":"FP32","data":[1]}]"#;
    let answer = post(&infer, &[], format!(r#"{{"id":"a\"b",{inputs}}}"#).as_bytes()).json();
    assert_eq!(answer["id"], "a\"b");
    assert_eq!(answer["outputs"][0]["name"], "sum");
    assert_eq!(answer["outputs"][1]["data"], json!([2.0]));
    let outputs = r#""outputs":[{"name":"difference"},{"name":"sum"}]"#;
    let answer = post(&infer, &[], format!("{{{inputs},{outputs}}}").as_bytes()).json();
    let names: Vec<_> = answer["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["difference", "sum"]);
    assert!(answer.get("id").is_none());
}

#[test]
fn json_and_binary_mix_input_by_input_and_output_by_output() {
    let server = server();
    let infer = format!("{}/v2/models/pair/infer", server.url());
    let json = r#"{"inputs":[{"name":"left","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}},{"name":"right","shape":[1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"sum"},{"name":"difference","parameters":{"binary_data":true}}]}"#;
    let body = [json.as_bytes(), &3.0_f32.to_le_bytes()].concat();
    let answer = post(&infer, &[("inference-header-content-length", &json.len().to_string())], &body);
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let response = answer.response();
    assert_eq!(response.outputs[0].1.data[..], 4.0_f32.to_le_bytes());
    assert_eq!(response.outputs[1].1.data[..], 2.0_f32.to_le_bytes());
    let raw = post(
        &format!("{}/v2/models/m/infer", server.url()),
        &[("inference-header-content-length", "0")],
        &[1.0_f32, 2.0].map(f32::to_le_bytes).concat(),
    );
    assert_eq!(raw.response().outputs[0].1.shape.0.as_slice(), [1, 2], "a raw body is one tensor");
}

/// A body for model `m`, what is wrong with it, and a word that the error must have.
const REFUSED: [(&str, &str); 18] = [
    ("", "JSON object"),
    ("{", "key"),
    ("[]", "JSON object"),
    ("{}", "inputs"),
    (r#"{"inputs":{}}"#, "inputs"),
    (r#"{"inputs":[]}"#, "'x'"),
    (r#"{"id":7,"inputs":[]}"#, "string"),
    (r#"{"inputs":[{"shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#, "name"),
    (r#"{"inputs":[{"name":"x","datatype":"FP32","data":[1,2]}]}"#, "shape"),
    (r#"{"inputs":[{"name":"x","shape":[1,2],"data":[1,2]}]}"#, "datatype"),
    (r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP33","data":[1,2]}]}"#, "FP33"),
    (r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[1,2]}]}"#, "expects FP32"),
    (r#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}]}"#, "batch dimension"),
    (r#"{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}"#, "[-1,2]"),
    (r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2,3]}]}"#, "2 elements"),
    (
        r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,null]}]}"#,
        "send NaN, or set nulls",
    ),
    (r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,1e400]}]}"#, "1e400"),
    (r#"{"inputs":[{"name":"x","shape":[0,2],"datatype":"FP32","data":[]}]}"#, "no rows"),
];

#[test]
fn what_is_wrong_with_a_request_is_400_and_named() {
    let server = server();
    let infer = format!("{}/v2/models/m/infer", server.url());
    for (body, named) in REFUSED {
        let answer = post(&infer, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.error());
        assert!(answer.error().contains(named), "{body}: {}", answer.error());
    }
    let input = |name: &str| format!(r#"{{"name":"{name}","shape":[1,2],"datatype":"FP32","data":[1,2]}}"#);
    for (inputs, outputs, named) in [
        (vec![input("x"), input("x")], "", "twice"),
        (vec![input("x"), input("z")], "", "'z'"),
        (vec![input("x")], r#"{"name":"q"}"#, "'q'"),
        (vec![input("x")], r#"{"name":"y"},{"name":"y"}"#, "twice"),
    ] {
        let body = format!(r#"{{"inputs":[{}],"outputs":[{outputs}]}}"#, inputs.join(","));
        let answer = post(&infer, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.error());
        assert!(answer.error().contains(named), "{body}: {}", answer.error());
    }
    let whole = format!("{}/v2/models/whole/infer", server.url());
    for number in ["128", "-129", "1.5", "true", "\"1\""] {
        let body =
            format!(r#"{{"inputs":[{{"name":"x","shape":[1,2],"datatype":"INT8","data":[0,{number}]}}]}}"#);
        assert_eq!(post(&whole, &[], body.as_bytes()).status, 400, "{number}");
    }
}

#[test]
fn binary_sizes_and_headers_that_do_not_fit_are_400() {
    let server = server();
    let infer = format!("{}/v2/models/m/infer", server.url());
    let json = |size: i64| {
        format!(
            r#"{{"inputs":[{{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    for (json, tensor, length) in [
        (json(8), 7, None),
        (json(8), 9, None),
        (json(4), 4, None),
        (json(12), 12, None),
        (json(-8), 8, None),
        (json(8), 8, Some("100000".to_owned())),
        (json(8), 8, Some("-1".to_owned())),
        (json(8), 8, Some("many".to_owned())),
        (json(8), 8, Some("5".to_owned())),
    ] {
        let length = length.unwrap_or_else(|| json.len().to_string());
        let body = [json.as_bytes(), &vec![0; tensor]].concat();
        let answer = post(&infer, &[("inference-header-content-length", &length)], &body);
        assert_eq!(answer.status, 400, "{json} {tensor} {length}: {}", answer.error());
    }
}

#[test]
fn every_answer_has_the_request_s_id_and_so_has_the_log() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(["--log-level", "debug"])
        .start();
    let infer = format!("{}/v2/models/m/infer", server.url());
    let answer = post(&infer, &[("x-request-id", "my-id-7")], b"{");
    assert_eq!(answer.headers["x-request-id"], "my-id-7");
    assert_eq!(server.wait_for("request refused")["span"]["request_id"], "my-id-7");
    let own = [get(&server.url()), get(&server.url())].map(|answer| answer.headers["x-request-id"].clone());
    assert_ne!(own[0], own[1]);
}

#[test]
fn every_answer_has_a_request_id() {
    let server = server();
    let url = server.url();
    let answers = [
        get(&format!("{url}/v2/health/live")),
        get(&format!("{url}/metrics")),
        get(&format!("{url}/nowhere")),
        get(&format!("{url}/v2/models/none")),
        get(&format!("{url}/v2/models/m/infer")),
        post(&format!("{url}/v2/models/m/infer"), &[], b"{"),
        post(&format!("{url}/v2/models/m/infer"), &[("content-encoding", "br")], b"{}"),
    ];
    let with_its_own = |answer: &Answer| (answer.status, answer.headers.contains_key("x-request-id"));
    assert_eq!(
        answers.iter().map(with_its_own).collect::<Vec<_>>(),
        [200, 200, 404, 404, 405, 400, 415].map(|status| (status, true))
    );
}

#[test]
fn the_metrics_count_what_happened() {
    let server = server();
    let infer = format!("{}/v2/models/m/infer", server.url());
    let body = br#"{"inputs":[{"name":"x","shape":[3,2],"datatype":"FP32","data":[1,2,3,4,5,6]}]}"#;
    assert_eq!(post(&infer, &[], body).status, 200);
    assert_eq!(post(&infer, &[], b"{").status, 400);
    let metrics = get(&format!("{}/metrics", server.url()));
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        r#"decima_request_duration_seconds_count{code="200",model="m",protocol="rest",version="1"} 1"#,
        r#"decima_request_duration_seconds_count{code="400",model="m",protocol="rest",version="1"} 1"#,
        r#"decima_batch_rows_sum{model="m",version="1"} 3"#,
        r#"decima_queue_duration_seconds_count{model="m",version="1"} 1"#,
        r#"decima_compute_duration_seconds_count{model="m",version="1"} 1"#,
        r#"decima_queue_rows{model="m",version="1"} 0"#,
        r#"decima_rejected_total{reason="invalid_argument"} 1"#,
        r#"decima_model_ready{model="m",version="1"} 1"#,
        "decima_in_flight_requests 0",
        "decima_model_load_duration_seconds{",
        "decima_build_info{",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
    }
}
