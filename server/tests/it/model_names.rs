//! What a model is called where the server was told a name.

use std::{fs, path::Path};

use oip::Datatype;
use serde_json::json;

use crate::{
    model_control::{infer, load},
    support::{Server, ServerBuilder, eventually, get, models},
};

fn put(place: &Path, key: &str) {
    let path = place.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, models::identity(Datatype::Fp32)).unwrap();
}

fn names(server: &Server) -> serde_json::Value {
    get(&format!("{}/v2/models", server.url())).json()["models"].clone()
}

#[test]
fn the_only_model_answers_to_the_name_whatever_its_folders_are_called() {
    for key in ["model.onnx", "3/model.onnx", "onnx/model.onnx", "onnx/7/model.onnx"] {
        let place = tempfile::tempdir().unwrap();
        put(place.path(), key);
        fs::write(place.path().join("config.json"), "{}").unwrap();
        let place = place.path().to_str().unwrap();
        let by_flag = ServerBuilder::new().args(["--model-name", "minilm", "--model-repository", place]);
        let by_kserve =
            ServerBuilder::new().envs([("INFERENCE_SERVICE_NAME", "minilm"), ("STORAGE_URI", place)]);
        for server in [by_flag, by_kserve] {
            let server = server.spawn();
            server.wait_until_ready();
            assert_eq!((names(&server), infer(&server, "minilm").status), (json!(["minilm"]), 200), "{key}");
            assert_eq!(load(&server, "minilm").status, 200, "{key}");
        }
    }
}

#[test]
fn its_own_configuration_holds_under_that_name() {
    let place = tempfile::tempdir().unwrap();
    put(place.path(), "onnx/encoder.onnx");
    put(place.path(), "onnx/decoder.onnx");
    let config = "default_model_filename = \"encoder.onnx\"\nmax_batch_size = 7";
    fs::write(place.path().join("onnx/config.toml"), config).unwrap();
    let args = ["--model-name", "minilm", "--model-repository", place.path().to_str().unwrap()];
    let server = ServerBuilder::new().args(args).spawn();
    server.wait_until_ready();
    let configuration = get(&format!("{}/v2/models/minilm/config", server.url())).json();
    assert_eq!(configuration["max_batch_size"], 7);
    assert_eq!(load(&server, "minilm").status, 200);
    assert_eq!(names(&server), json!(["minilm"]));
    fs::write(place.path().join("onnx/config.toml"), "default_model_filename = 1").unwrap();
    let failed = load(&server, "minilm");
    assert!(failed.status == 500 && failed.error().contains("'minilm'"), "{}", failed.error());
}

#[test]
fn several_models_are_called_after_their_folders_and_one_line_says_so() {
    let place = tempfile::tempdir().unwrap();
    put(place.path(), "a/model.onnx");
    put(place.path(), "b/1/model.onnx");
    let path = place.path().to_str().unwrap();
    let server = ServerBuilder::new()
        .envs([("INFERENCE_SERVICE_NAME", "service"), ("STORAGE_URI", path)])
        .args(["--poll-interval", "20ms"])
        .spawn();
    server.wait_until_ready();
    assert_eq!(names(&server), json!(["a", "b"]));
    put(place.path(), "c/1/model.onnx");
    eventually(|| names(&server) == json!(["a", "b", "c"]));
    let said = |count: &str| server.log().iter().filter(|line| line.contains(count)).count();
    assert_eq!((said("(a, b): the name 'service'"), said("(a, b, c): the name 'service'")), (1, 1));
}

#[test]
fn a_model_that_comes_later_takes_no_name_away() {
    let place = tempfile::tempdir().unwrap();
    put(place.path(), "onnx/model.onnx");
    let path = place.path().to_str().unwrap();
    let args = ["--model-name", "minilm", "--model-repository", path, "--poll-interval", "20ms"];
    let server = ServerBuilder::new().args(args).spawn();
    server.wait_until_ready();
    put(place.path(), "other/model.onnx");
    eventually(|| names(&server) == json!(["minilm", "other"]));
    eventually(|| infer(&server, "other").status == 200);
    assert_eq!(infer(&server, "minilm").status, 200);
    fs::remove_dir_all(place.path().join("onnx")).unwrap();
    eventually(|| names(&server) == json!(["minilm"]));
}

/// `KServe`'s agent puts each model into a folder of its name and then asks for it.
#[test]
fn models_that_kserve_s_agent_brings_are_called_after_their_folders() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let server = ServerBuilder::new()
        .envs([("INFERENCE_SERVICE_NAME", "service"), ("STORAGE_URI", path)])
        .args(["--exit-on-error", "false", "--strict-readiness", "false"])
        .spawn();
    server.wait_until_ready();
    assert_eq!(get(&format!("{}/v2/health/ready", server.url())).status, 200);
    for model in ["iris", "wine"] {
        put(place.path(), &format!("{model}/model.onnx"));
        fs::write(place.path().join(model).join("SUCCESS.0a1b"), "").unwrap();
        assert_eq!((load(&server, model).status, infer(&server, model).status), (200, 200), "{model}");
    }
    assert_eq!(names(&server), json!(["iris", "wine"]));
}
