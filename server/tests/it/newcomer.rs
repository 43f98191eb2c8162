//! What somebody meets who starts the server for the first time, with wrong input too.

use std::path::Path;

use oip::{Datatype, grpc::messages::ModelInferRequest};
use serde_json::Value;

use crate::support::{Grpc, Server, ServerBuilder, eventually, get, models, post};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn identity() -> Vec<u8> {
    models::identity(Datatype::Fp32)
}

/// Starts a server on a place that lies in its own repository.
fn start_at(builder: ServerBuilder, key: &str) -> Server {
    let place = builder.models().join(key);
    let server = builder.args(["--model-repository", place.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    server
}

#[test]
fn the_readme_says_what_its_example_is_answered() {
    let place = root().join("models");
    let server = ServerBuilder::new().args(["--model-repository", place.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    let example = std::fs::read(place.join("digits/example.json")).unwrap();
    let answer = post(&format!("{}/v2/models/digits/infer", server.url()), &[], &example).json();
    let probabilities = answer["outputs"][0]["data"].as_array().unwrap();
    let seven = probabilities[7].as_f64().unwrap();
    let said = format!("the eighth, that of a seven, is {seven:.3}");
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&said), "README.md does not say: {said}");
}

#[test]
fn a_version_s_folder_given_alone_is_that_version_of_its_model() {
    for key in ["digits/3", "digits/3/model.onnx"] {
        let server = start_at(ServerBuilder::new().model("digits", "3", &identity()), key);
        let metadata = get(&format!("{}/v2/models/digits", server.url())).json();
        assert_eq!(metadata["versions"], serde_json::json!(["3"]), "{key}: {metadata}");
    }
}

#[test]
fn a_place_without_models_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    for (key, said) in [
        ("", &["no model found", "<model>/<version>/model.onnx"][..]),
        ("none", &["no such folder", "--model-repository"]),
    ] {
        let place = nowhere.path().join(key);
        let mut server = ServerBuilder::new().args(["--model-repository", place.to_str().unwrap()]).spawn();
        assert_eq!(server.wait().code(), Some(70));
        let log = server.log().join("\n");
        assert!(said.iter().all(|part| log.contains(part)), "{key}: {log}");
        assert!(!log.contains("check the address") || key == "none", "{log}");
    }
}

#[test]
fn a_wrong_name_is_answered_with_the_right_one() {
    let server = ServerBuilder::new().model("digits", "1", &identity()).start();
    let answer = post(&format!("{}/v2/models/Digits/infer", server.url()), &[], b"{}");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(), "unknown model 'Digits': did you mean 'digits'?");
    let answer = get(&format!("{}/v2/models/digits/versions/2", server.url()));
    assert_eq!((answer.status, answer.error().contains("its only version is 1")), (404, true));
}

#[test]
fn a_failed_call_is_logged_with_its_grpc_status_and_a_request_with_its_http_status() {
    let server = ServerBuilder::new()
        .model("m", "1", &identity())
        .args(["--log-level", "decima_server=debug"])
        .start();
    let grpc = Grpc::connect(&server.url());
    let request = ModelInferRequest { model_name: "by-grpc".into(), ..ModelInferRequest::default() };
    grpc.wait(async { grpc.client.clone().model_infer(request).await }).unwrap_err();
    let absent = get(&format!("{}/v2/models/by-rest", server.url()));
    assert_eq!(absent.status, 404);
    let line = |model: &str| {
        let lines = server.log().into_iter();
        let mut lines = lines.filter(|line| line.contains("request refused") && line.contains(model));
        lines.next().map(|line| serde_json::from_str::<Value>(&line).unwrap())
    };
    eventually(|| line("by-grpc").is_some() && line("by-rest").is_some());
    let (by_grpc, by_rest) = (line("by-grpc").unwrap(), line("by-rest").unwrap());
    assert_eq!((&by_grpc["grpc_status"], &by_grpc["status"]), (&"NOT_FOUND".into(), &Value::Null));
    assert_eq!((&by_rest["grpc_status"], &by_rest["status"]), (&Value::Null, &404.into()));
}

#[test]
fn the_line_of_a_model_that_is_ready_is_short() {
    let server = ServerBuilder::new().model("digits", "1", &identity()).start();
    let ready = server.wait_for("model ready");
    assert!(ready["milliseconds"].is_u64(), "a round figure: {ready}");
    assert_eq!(
        (&ready["model"], &ready["version"], &ready["batching"]),
        (&"digits".into(), &"1".into(), &"on".into())
    );
    assert!(ready.to_string().len() < 240, "{ready}");
}
