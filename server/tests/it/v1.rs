//! The V1 protocol, as KServe's and TensorFlow Serving's clients speak it.

use std::{io::Read, path::Path};

use flate2::{Compression, read::GzEncoder};
use oip::Datatype;
use serde_json::{Value, json};

use crate::support::{Server, ServerBuilder, get, models, post};

fn server() -> Server {
    ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("pair", "1", &models::two_inputs())
        .model("texts", "1", &models::identity_of(Datatype::Bytes, &["N"], &["N"]))
        .model("total", "1", &models::sum_of_rows())
        .model("a b:c", "1", &models::identity(Datatype::Int16))
        .start()
}

fn predict(server: &Server, model: &str, body: &str) -> Value {
    let answer = post(&format!("{}/v1/models/{model}:predict", server.url()), &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{body}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

#[test]
fn models_say_whether_they_are_ready() {
    let server = server();
    let url = server.url();
    assert_eq!(get(&url).json(), json!({ "status": "alive" }));
    assert_eq!(get(&format!("{url}/v1/models")).json()["models"][1], "m");
    for path in ["m", "m/versions/1", "%6D"] {
        let status = get(&format!("{url}/v1/models/{path}")).json();
        assert_eq!(status, json!({ "name": "m", "ready": true }), "{path}");
    }
    assert_eq!(get(&format!("{url}/v1/models/a%20b:c")).json()["name"], "a b:c");
    for path in ["none", "m/versions/9", "m:regress", "m/nothing"] {
        let answer = get(&format!("{url}/v1/models/{path}"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.error());
    }
    for path in ["none:predict", "m/versions/9:predict", "none:explain"] {
        let answer = post(&format!("{url}/v1/models/{path}"), &[], br#"{"instances":[[1,2]]}"#);
        assert_eq!(answer.status, 404, "{path}: {}", answer.error());
    }
    let answer = post(&format!("{url}/v1/models/m:explain"), &[], b"{}");
    assert_eq!(answer.status, 501);
    assert!(answer.error().contains("explainer"), "{}", answer.error());
    let answer = get(&format!("{url}/v1/models/m:predict"));
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "POST"));
    let answer = post(&format!("{url}/v1/models/m"), &[], b"{}");
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "GET,HEAD"));
    assert!(answer.error().contains(":predict"), "{}", answer.error());
}

#[test]
fn rows_are_answered_in_rows_and_columns_in_columns() {
    let server = server();
    assert_eq!(
        predict(&server, "m", r#"{"instances":[[1,2],[0.5,-3]]}"#),
        json!({ "predictions": [[1.0, 2.0], [0.5, -3.0]] })
    );
    assert_eq!(
        predict(&server, "m/versions/1", r#"{"inputs":{"x":[[1,2]]}}"#),
        json!({ "outputs": [[1.0, 2.0]] })
    );
    assert_eq!(
        predict(&server, "a%20b%3Ac", r#"{"instances":[[7,-8]]}"#),
        json!({ "predictions": [[7, -8]] })
    );
    assert_eq!(
        predict(&server, "pair", r#"{"instances":[{"left":3,"right":1},{"right":2,"left":2}]}"#),
        json!({ "predictions": [{ "sum": 4.0, "difference": 2.0 }, { "sum": 4.0, "difference": 0.0 }] })
    );
    assert_eq!(
        predict(&server, "pair", r#"{"inputs":{"left":[3,2],"right":[1,2]}}"#),
        json!({ "outputs": { "sum": [4.0, 4.0], "difference": [2.0, 0.0] } })
    );
    assert_eq!(
        predict(&server, "texts", r#"{"instances":["7",{"b64":"ZGlnaXQ="}]}"#),
        json!({ "predictions": ["7", "digit"] })
    );
    // No row for each instance: that has only the other form.
    assert_eq!(
        predict(&server, "total", r#"{"inputs":[[1,2],[3,4],[5,6]]}"#),
        json!({ "outputs": [9.0, 12.0] })
    );
    let three = br#"{"instances":[[1,2],[3,4],[5,6]]}"#;
    let answer = post(&format!("{}/v1/models/total:predict", server.url()), &[], three);
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("'total'") && answer.error().contains("'inputs'"), "{}", answer.error());
}

#[test]
fn the_type_of_the_content_is_nothing_and_its_encoding_is_heeded() {
    let server = server();
    let url = format!("{}/v1/models/m:predict", server.url());
    let body = format!(r#"{{"instances":[{}[1,2]]}}"#, "[0.25,0],".repeat(1000));
    for content_type in ["application/x-www-form-urlencoded", "application/json; charset=utf-8", "text/plain"]
    {
        assert_eq!(post(&url, &[("content-type", content_type)], body.as_bytes()).status, 200);
    }
    let mut packed = Vec::new();
    GzEncoder::new(body.as_bytes(), Compression::fast()).read_to_end(&mut packed).unwrap();
    let answer = post(&url, &[("content-encoding", "gzip")], &packed);
    assert_eq!(answer.json()["predictions"].as_array().unwrap().len(), 1001);
    assert_eq!(post(&url, &[("content-encoding", "br")], &packed).status, 415);
    let answer = post(&url, &[("accept-encoding", "deflate")], body.as_bytes());
    assert_eq!(answer.headers["content-encoding"], "deflate");
}

#[test]
fn what_is_wrong_is_400_and_named_and_costs_nothing() {
    let server = server();
    let infer = |model: &str, body: &str| {
        let answer = post(&format!("{}/v1/models/{model}:predict", server.url()), &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{}", &body[..body.len().min(80)]);
        answer.error()
    };
    for (model, body, named) in [
        ("m", "", "JSON object"),
        ("m", r#"{"instances":[[1,2]],"inputs":[[1,2]]}"#, "both"),
        ("m", r#"{"instances":[[1,2],[3]]}"#, "instance 1, input 'x'"),
        ("m", r#"{"instances":[[1,null]]}"#, "instance 0, input 'x'"),
        ("m", r#"{"inputs":[]}"#, "'x'"),
        ("pair", r#"{"instances":[{"left":1,"right":2},{"left":1}]}"#, "instance 1, input 'right'"),
        ("pair", r#"{"instances":[[1,2]]}"#, "instance 0"),
        ("pair", r#"{"inputs":{"left":[1,2],"right":[1]}}"#, "'right' has 1 for 'N'"),
        ("texts", r#"{"instances":[{"b64":"AGE="}]}"#, "NUL"),
        ("a%20b:c", r#"{"instances":[[40000,1]]}"#, "40000"),
    ] {
        let error = infer(model, body);
        assert!(error.contains(named), "{body}: {error}");
    }
    let nested = |start: &str, bracket: &str| format!("{start}{}", bracket.repeat(100_000));
    for body in [nested("{\"instances\":", "["), nested("{\"inputs\":", "["), nested("{\"x\":", "[")] {
        infer("m", &body);
    }
    assert_eq!(predict(&server, "m", r#"{"instances":[[1,2]]}"#), json!({ "predictions": [[1.0, 2.0]] }));
    let metrics = get(&format!("{}/metrics", server.url()));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = r#"decima_request_duration_seconds_count{code="200",model="m",protocol="v1",version="1"} 1"#;
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn the_readme_s_example_is_read_as_a_seven() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/digits");
    let example = std::fs::read_to_string(digits.join("example-v1.json")).unwrap();
    let server = ServerBuilder::new();
    let server = server.args(["--model-repository", digits.parent().unwrap().to_str().unwrap()]).spawn();
    server.wait_until_ready();
    let answer = predict(&server, "digits", &example);
    let [row] = &answer["predictions"].as_array().unwrap()[..] else { panic!("one picture: {answer}") };
    let row: Vec<f64> = row.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(row.len(), 10);
    assert!(row[7] > 0.5, "{row:?}");
}
