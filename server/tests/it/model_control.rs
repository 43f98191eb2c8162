//! Loading and unloading by request: what a client sees of it, and what others do not.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::{self, ScopedJoinHandle},
};

use oip::Datatype;
use serde_json::{Value, json};

use crate::support::{Answer, Server, ServerBuilder, eventually, get, models, post};

const BODY: &[u8] = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;

fn ask(server: &Server, path: &str, body: &str) -> Answer {
    post(&format!("{}/v2/repository/{path}", server.url()), &[], body.as_bytes())
}

pub(crate) fn load(server: &Server, model: &str) -> Answer {
    ask(server, &format!("models/{model}/load"), "")
}

pub(crate) fn unload(server: &Server, model: &str) -> Answer {
    ask(server, &format!("models/{model}/unload"), "{}")
}

pub(crate) fn infer(server: &Server, model: &str) -> Answer {
    post(&format!("{}/v2/models/{model}/infer", server.url()), &[], BODY)
}

fn ready(server: &Server, path: &str) -> u16 {
    get(&format!("{}/v2/{path}/ready", server.url())).status
}

/// Name, version and state of every entry.
fn index(server: &Server, body: &str) -> Vec<String> {
    let answer = ask(server, "index", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let line = |entry: &Value| ["name", "version", "state"].map(|key| text(entry, key)).join(" ");
    answer.json().as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_model_is_unloaded_and_loaded_again_and_again() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new()
        .model("m", "1", &onnx)
        .model("m", "2", &onnx)
        .file("m/config.toml", "version_policy = \"all\"")
        .model("other", "1", &onnx)
        .args(["--poll-interval", "20ms"])
        .start();
    for _ in 0..5 {
        let answer = unload(&server, "m");
        assert_eq!((answer.status, answer.json()), (200, json!({ "name": "m", "unload": true })));
        assert_eq!(unload(&server, "m").status, 200, "it is unloaded already");
        let refused = infer(&server, "m");
        assert_eq!(refused.status, 503);
        assert!(refused.error().contains("unloaded"), "{}", refused.error());
        assert_eq!((ready(&server, "models/m"), ready(&server, "models/m/versions/1")), (503, 503));
        assert_eq!(infer(&server, "other").status, 200);
        assert_eq!(ready(&server, "health"), 200, "the other model answers");
        assert_eq!(index(&server, ""), ["m 1 UNAVAILABLE", "m 2 UNAVAILABLE", "other 1 READY"]);
        assert_eq!(ask(&server, "index", "").json()[0]["reason"], "unloaded");
        assert_eq!(index(&server, r#"{"ready":true}"#), ["other 1 READY"]);
        let answer = load(&server, "m");
        assert_eq!((answer.status, answer.json()), (200, json!({ "name": "m", "load": true })));
        assert_eq!(infer(&server, "m").status, 200);
        assert_eq!(index(&server, r#"{"ready":false}"#), ["m 1 READY", "m 2 READY", "other 1 READY"]);
    }
    assert_eq!(load(&server, "m").status, 200, "nothing to do is fine");
}

#[test]
fn polling_leaves_an_unloaded_model_alone_until_its_files_are_gone() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new()
        .model("m", "1", &onnx)
        .model("other", "1", &onnx)
        .args(["--poll-interval", "20ms"]);
    let server = server.start();
    assert_eq!(unload(&server, "m").status, 200);
    models::write(server.models(), "m", "2", &onnx);
    models::write(server.models(), "new", "1", &onnx);
    eventually(|| ready(&server, "models/new") == 200);
    assert_eq!(index(&server, ""), ["m 1 UNAVAILABLE", "new 1 READY", "other 1 READY"]);
    fs::remove_dir_all(server.models().join("m")).unwrap();
    eventually(|| ready(&server, "models/m") == 404);
    models::write(server.models(), "m", "3", &onnx);
    eventually(|| ready(&server, "models/m") == 200); // a new model of that name is a new model
}

/// Runs `change` ten times while four clients send requests, all of which must be answered.
pub(crate) fn under_traffic(server: &Server, change: impl Fn(u32)) {
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = || {
        while !stop.load(Ordering::Relaxed) {
            let answer = infer(server, "m");
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        for version in 2..12 {
            let before = answered.load(Ordering::Relaxed);
            change(version);
            let failed = || clients.iter().any(ScopedJoinHandle::is_finished);
            eventually(|| answered.load(Ordering::Relaxed) > before + 4 || failed());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let statistics = get(&format!("{}/v2/models/m/stats", server.url())).json();
    assert_eq!(statistics["model_stats"][0]["inference_stats"]["fail"]["count"], 0);
}

pub(crate) fn versions(server: &Server) -> Value {
    get(&format!("{}/v2/models/m", server.url())).json()["versions"].clone()
}

#[test]
fn a_new_version_takes_over_under_traffic_without_a_failed_request() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "1", &onnx).start();
    under_traffic(&server, |version| {
        let version = version.to_string();
        models::write(server.models(), "m", &version, &onnx);
        assert_eq!(load(&server, "m").status, 200);
        assert_eq!(versions(&server), json!([version]), "the old one has gone");
        models::write(server.models(), "m", &version, &onnx); // a new file of the same version
        assert_eq!(load(&server, "m").status, 200);
    });
}

#[test]
fn a_new_version_that_polling_finds_takes_over_without_a_failed_request() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "1", &onnx).args(["--poll-interval", "10ms"]).start();
    under_traffic(&server, |version| {
        models::write(server.models(), "m", &version.to_string(), &onnx);
        eventually(|| versions(&server) == json!([version.to_string()]));
    });
}

#[test]
fn a_changed_file_is_loaded_anew_and_its_counts_go_on() {
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).start();
    let count = || {
        let statistics = get(&format!("{}/v2/models/m/stats", server.url())).json();
        statistics["model_stats"][0]["inference_count"].as_u64().unwrap()
    };
    let datatype = || get(&format!("{}/v2/models/m", server.url())).json()["inputs"][0]["datatype"].clone();
    assert_eq!(infer(&server, "m").status, 200);
    models::write(server.models(), "m", "1", &models::identity(Datatype::Fp64));
    assert_eq!(datatype(), "FP32", "nobody asked yet");
    assert_eq!(load(&server, "m").status, 200);
    assert_eq!((datatype(), count()), (json!("FP64"), 1));
    assert_eq!((unload(&server, "m").status, load(&server, "m").status, count()), (200, 200, 0));
}

#[test]
fn requests_in_flight_are_answered_by_what_is_unloaded() {
    let server = ServerBuilder::new().model("slow", "1", &models::slow()).args(["--threads", "1"]).start();
    let body = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[8,1,1],"data":[1,1,1,1,1,1,1,1]}]}"#;
    let infer_url = format!("{}/v2/models/slow/infer", server.url());
    let in_flight = || {
        let metrics = get(&format!("{}/metrics", server.url()));
        String::from_utf8(metrics.body.to_vec()).unwrap().contains("decima_in_flight_requests 4")
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| post(&infer_url, &[], body).status)).collect();
        eventually(|| in_flight() || clients.iter().any(ScopedJoinHandle::is_finished));
        assert_eq!(unload(&server, "slow").status, 200);
        for client in clients {
            assert_eq!(client.join().unwrap(), 200);
        }
    });
    assert_eq!(post(&infer_url, &[], body).status, 503);
}

#[test]
fn what_cannot_be_loaded_says_why_and_leaves_the_old_one() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "1", &onnx).start();
    let folder = server.models().to_str().unwrap().to_owned();
    models::write(server.models(), "m", "2", b"half a file");
    for _ in 0..2 {
        let failed = load(&server, "m");
        assert_eq!(failed.status, 500);
        let error = failed.error();
        assert!(error.contains("model 'm' version '2'") && error.contains("model.onnx"), "{error}");
        assert!(!error.contains(&folder), "a path of the server: {error}");
        assert_eq!(index(&server, ""), ["m 1 READY", "m 2 UNAVAILABLE"]);
        assert_eq!(ask(&server, "index", "").json()[1]["reason"], error);
        assert_eq!((infer(&server, "m").status, ready(&server, "health")), (200, 200));
    }
    // The file of a version that answers, damaged: what is loaded goes on.
    models::write(server.models(), "m", "2", &onnx);
    assert_eq!(load(&server, "m").status, 200, "tried again");
    assert_eq!(index(&server, ""), ["m 2 READY"]);
    models::write(server.models(), "m", "2", b"half a file again");
    assert_eq!((load(&server, "m").status, load(&server, "m").status), (500, 500));
    assert_eq!((infer(&server, "m").status, index(&server, "")), (200, vec!["m 2 READY".to_owned()]));
    fs::write(server.models().join("m/config.toml"), "max_batchsize = 1").unwrap();
    let error = load(&server, "m").error();
    assert!(error.contains("max_batchsize") && !error.contains(&folder), "{error}");
    // A model that is new and broken: known, not ready, and the server stays ready.
    models::write(server.models(), "new", "1", b"no model");
    assert_eq!((load(&server, "new").status, ready(&server, "models/new")), (500, 503));
    assert_eq!((infer(&server, "m").status, ready(&server, "health")), (200, 200));
    models::write(server.models(), "new", "1", &onnx);
    assert_eq!((load(&server, "new").status, infer(&server, "new").status), (200, 200));
    // The mistake in m's configuration hinders nobody else, and a model that has gone is not found.
    fs::remove_dir_all(server.models().join("m")).unwrap();
    let missing = load(&server, "m");
    assert_eq!(missing.status, 404, "{}", missing.error());
    assert_eq!(infer(&server, "m").status, 200, "what is loaded is not taken away by asking for more");
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).start();
    for (path, body, status, named) in [
        ("models/nobody/load", "", 404, "nobody"),
        ("models/nobody/unload", "", 404, "nobody"),
        ("index", r#"{"ready":1}"#, 400, "boolean"),
        ("index", "[true]", 400, "object"),
        ("index", "{", 400, "body"),
        ("models/m/load", "null", 400, "object"),
        ("models/m/load", r#"{"parameters":[]}"#, 400, "map"),
        ("models/m/load", r#"{"parameters":{"config":"{}"}}"#, 400, "'config'"),
        ("models/m/load", r#"{"parameters":{"file:1/model.onnx":"QUJD"}}"#, 400, "'file:1/model.onnx'"),
        ("models/m/load", &" ".repeat(65 << 10), 413, "65536"),
        ("other/index", "", 501, "names"),
        ("other/models/m/load", "", 501, "names"),
        ("other/models/m/unload", "", 501, "names"),
    ] {
        let answer = ask(&server, path, body);
        assert_eq!(answer.status, status, "{path} {:.40}: {}", body, answer.error());
        assert!(answer.error().contains(named), "{path} {:.40}: {}", body, answer.error());
    }
    let nested = format!(r#"{{"parameters":{{"a":{}"#, "[".repeat(60_000));
    assert_eq!(ask(&server, "models/m/load", &nested).status, 400);
    assert_eq!(get(&format!("{}/v2/repository/index", server.url())).status, 405);
    let dependents = r#"{"parameters":{"unload_dependents":true}}"#;
    assert_eq!(ask(&server, "models/m/unload", dependents).status, 200);
    assert_eq!(ask(&server, "models/m/load", r#"{"parameters":null,"more":1}"#).status, 200);
}

#[test]
fn control_can_be_switched_off_and_waits_for_the_start() {
    let onnx = models::identity(Datatype::Fp32);
    let extensions = |server: &Server| get(&format!("{}/v2", server.url())).json()["extensions"].to_string();
    let server = ServerBuilder::new().model("m", "1", &onnx).args(["--model-control", "none"]).start();
    for answer in [load(&server, "m"), unload(&server, "m")] {
        assert_eq!(answer.status, 503);
        assert!(answer.error().contains("--model-control none"), "{}", answer.error());
    }
    assert_eq!(index(&server, ""), ["m 1 READY"]);
    assert!(!extensions(&server).contains("model_repository"));

    let empty = tempfile::tempdir().unwrap();
    let server = ServerBuilder::new()
        .envs([("MODEL_INIT_MODE", "async")])
        .args(["--listen", "early", "--model-repository", empty.path().to_str().unwrap()])
        .spawn();
    for answer in [load(&server, "m"), unload(&server, "m")] {
        assert_eq!(answer.status, 503);
        assert!(answer.error().contains("still loading"), "{}", answer.error());
    }
    assert!(extensions(&server).contains("\"model_repository\""), "{}", extensions(&server));
}

#[test]
fn loads_unloads_and_polling_do_not_get_into_each_other_s_way() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "1", &onnx).model("steady", "1", &onnx);
    let server = server.args(["--poll-interval", "1ms"]).start();
    thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for turn in 0..10 {
                    let ask = if (client + turn) % 2 == 0 { load } else { unload };
                    assert_eq!(ask(server, "m").status, 200);
                    assert_eq!(infer(server, "steady").status, 200);
                    assert!([200, 503].contains(&infer(server, "m").status));
                }
            });
        }
    });
    assert_eq!((load(&server, "m").status, infer(&server, "m").status), (200, 200));
    assert_eq!(index(&server, ""), ["m 1 READY", "steady 1 READY"]);
}
