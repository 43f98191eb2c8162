//! Models in folders: every layout, versions, and changes while the server runs.

use std::fs;

use oip::Datatype;
use serde_json::json;

use crate::support::{ServerBuilder, get, models};

#[test]
fn single_models_are_served_in_every_layout_of_kserve() {
    let onnx = models::identity(Datatype::Fp32);
    for key in ["model.onnx", "resnet.onnx", "3/model.onnx", "digits/1/model.onnx"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &onnx).unwrap();
        let server =
            ServerBuilder::new().args(["--model_dir", folder.path().to_str().unwrap(), "--model_name=named"]);
        let server = server.spawn();
        server.wait_until_ready();
        assert_eq!(
            get(&format!("{}/v2/models", server.url())).json(),
            json!({ "models": ["named"] }),
            "{key}"
        );
    }
}

#[test]
fn the_newest_version_answers_and_the_policy_says_which_there_are() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new()
        .model("latest", "9", &onnx)
        .model("latest", "10", &onnx)
        .model("all", "9", &onnx)
        .model("all", "10", &onnx)
        .file("all/config.toml", "version_policy = \"all\"")
        .start();
    let get = |path: &str| get(&format!("{}/v2/models/{path}", server.url()));
    assert_eq!(get("latest").json()["versions"], json!(["10"]));
    assert_eq!(get("latest/versions/9").status, 404);
    assert_eq!(get("all").json()["versions"], json!(["9", "10"]));
    assert_eq!(get("all/versions/9/ready").status, 200);
}

#[test]
fn changes_are_followed_when_the_server_polls() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("gone", "1", &models::identity(Datatype::Fp32))
        .args(["--poll-interval", "50ms"])
        .start();
    let url = server.url();
    models::write(server.models(), "m", "2", &models::identity(Datatype::Fp64));
    models::write(server.models(), "new", "1", &models::identity(Datatype::Int8));
    fs::remove_dir_all(server.models().join("gone")).unwrap();
    server.wait_for("model removed");
    let until = |path: &str, status: u16| {
        for _ in 0..600 {
            if get(&format!("{url}/v2/models/{path}/ready")).status == status {
                return;
            }
            wait();
        }
        panic!("{path} is never {status}: {:?}", server.log());
    };
    until("m/versions/2", 200);
    until("m/versions/1", 404);
    until("new", 200);
    until("gone", 404);
    assert_eq!(get(&format!("{url}/v2/models/m")).json()["inputs"][0]["datatype"], "FP64");

    // A version that cannot be loaded is reported; what was served goes on being served.
    fs::create_dir_all(server.models().join("new/2")).unwrap();
    fs::write(server.models().join("new/2/model.onnx"), "half a file").unwrap();
    server.wait_for("cannot load");
    assert_eq!(get(&format!("{url}/v2/models/new/versions/2/ready")).status, 503);
}

#[expect(clippy::disallowed_methods, reason = "no runtime here that it could block")]
fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}
