//! Starting, being ready, stopping: what an orchestrator relies on.

use std::{net::TcpListener, thread, time::Duration};

use decima_server::platform::{environment::Environment, ort_library};
use oip::Datatype;

use crate::{
    model_control::{infer, load},
    support::{ServerBuilder, eventually, get, models, post},
};

const SLOW_BODY: &[u8] =
    br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[8,1,1],"data":[1,1,1,1,1,1,1,1]}]}"#;

#[test]
fn requests_in_flight_are_answered_when_the_server_is_told_to_stop() {
    let mut server = ServerBuilder::new()
        .model("slow", "1", &models::slow())
        .args(["--drain-delay", "500ms", "--threads", "1"])
        .start();
    let url = server.url();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let url = format!("{url}/v2/models/slow/infer");
            thread::spawn(move || post(&url, &[], SLOW_BODY).status)
        })
        .collect();
    server.terminate();
    server.wait_for("draining");
    let ready = get(&format!("{url}/v2/health/ready"));
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &serde_json::json!(false)));
    assert!(ready.headers.contains_key("retry-after"));
    assert_eq!(get(&format!("{url}/v2/health/live")).status, 200, "a server that drains is alive");
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_early_socket_is_live_at_once_and_ready_when_the_models_are() {
    let server = ServerBuilder::new().args(["--listen", "early", "--startup-timeout", "60s"]);
    let server = server.envs([("MODEL_INIT_MODE", "async")]);
    let models = tempfile::tempdir().unwrap();
    let server = server.args(["--model-repository", models.path().to_str().unwrap()]).spawn();
    let url = server.url();
    assert_eq!(get(&format!("{url}/v2/health/live")).status, 200);
    assert_eq!(get(&format!("{url}/v2/health/ready")).status, 503);
    let answer = get(&format!("{url}/v2/models/m"));
    assert_eq!(answer.status, 503, "not yet known to be unknown: {}", answer.error());
    models::write(models.path(), "m", "1", &models::identity(Datatype::Fp32));
    server.wait_until_ready();
    let ready = get(&format!("{url}/v2/health/ready"));
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &serde_json::json!(true)));
}

#[test]
fn nothing_is_written_into_the_home_directory() {
    let home = tempfile::tempdir().unwrap();
    let library = ort_library::find(&Environment::of_process()).unwrap_or_else(|error| panic!("{error}"));
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .envs([("HOME", home.path().as_os_str()), ("ORT_DYLIB_PATH", library.as_os_str())])
        .start();
    let body = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;
    let answer = post(&format!("{}/v2/models/m/infer", server.url()), &[], body);
    assert_eq!(answer.status, 200, "{}", answer.error());
    let written: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(written.is_empty(), "{written:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn code_that_loading_needed_does_not_stay_in_memory() {
    let onnx = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "1", &onnx).start();
    let little = || eventually(|| server.resident("libonnxruntime") < 8 << 20); // loading needs twice that
    little();
    assert_eq!(infer(&server, "m").status, 200);
    models::write(server.models(), "n", "1", &onnx);
    assert_eq!(load(&server, "n").status, 200);
    little();
    for model in ["m", "n"] {
        assert_eq!(infer(&server, model).status, 200);
    }
}

#[test]
fn a_ready_socket_opens_when_the_models_are_warm() {
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32));
    let server = server.args(["--listen", "ready"]).start();
    let log = server.log();
    let line = |text: &str| log.iter().position(|line| line.contains(text)).unwrap();
    assert!(line("model ready") < line("listening"), "{log:?}");
}

#[test]
fn what_cannot_be_served_ends_the_server_with_one_line_and_70() {
    let broken = ServerBuilder::new().file("digits/1/model.onnx", "this is no ONNX file");
    let config = ServerBuilder::new()
        .model("digits", "1", &models::identity(Datatype::Fp32))
        .file("digits/config.toml", "max_batchsize = 3");
    let changed = ServerBuilder::new()
        .model("digits", "1", &models::identity(Datatype::Fp32))
        .file("digits/config.toml", format!("sha256 = \"{}\"", "0".repeat(64)));
    let fixed = ServerBuilder::new()
        .model("digits", "1", &models::identity_of(Datatype::Fp32, &["2"], &["2"]))
        .file("digits/config.toml", "max_batch_size = 8");
    for (builder, named) in [
        (broken, "digits/1/model.onnx"),
        (config, "max_batchsize"),
        (changed, "sha256"),
        (fixed, "max_batch_size is 8"),
        (ServerBuilder::new(), "no model found: expected <model>/<version>/model.onnx"),
        (ServerBuilder::new().file("readme.md", "no model"), "no model found"),
        (ServerBuilder::new().envs([("ORT_DYLIB_PATH", "/nowhere.so")]), "ORT_DYLIB_PATH"),
    ] {
        let mut server = builder.start_to_fail();
        assert_eq!(server.wait().code(), Some(70), "{named}");
        let log = server.log();
        let errors: Vec<_> = log.iter().filter(|line| line.contains("\"ERROR\"")).collect();
        assert_eq!(errors.len(), 1, "{log:?}");
        assert!(errors[0].contains(named), "{named}: {errors:?}");
    }
}

#[test]
fn wrong_settings_end_the_server_with_64() {
    for args in [
        ["--no-such-flag", "1"],
        ["--http-port", "99999"],
        ["--device", "tpu"],
        ["--model-repository", "gs://b"],
    ] {
        let mut server = ServerBuilder::new().args(args).spawn();
        assert_eq!(server.wait().code(), Some(64), "{args:?}: {:?}", server.log());
        assert!(!server.log().is_empty(), "{args:?}: it says why");
    }
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32));
    let mut server = server.args(["--http-port", &port]).start_to_fail();
    assert_eq!(server.wait().code(), Some(1));
    let log = server.log().join("\n");
    assert!(log.contains(&port) && log.contains("--http-port"), "{log}");
}

#[test]
fn without_a_cuda_provider_cuda_is_refused_and_auto_goes_on() {
    let model = || ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32));
    let mut server = model().args(["--device", "cuda"]).start_to_fail();
    assert_eq!(server.wait().code(), Some(70));
    let log = server.log().join("\n");
    assert!(log.contains("no CUDA provider") && log.contains("onnxruntime-gpu"), "{log}");
    let server = model().args(["--device", "auto"]).start();
    assert!(server.wait_for("running on the CPU")["level"] == "WARN");
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let server = ServerBuilder::new()
        .model("slow", "1", &models::slow())
        .args(["--threads", "1", "--max-queue-rows", "64"])
        .start();
    let infer = format!("{}/v2/models/slow/infer", server.url());
    for _ in 0..20 {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_millis(20))).build();
        let _given_up = ureq::Agent::from(agent).post(&infer).send(SLOW_BODY);
    }
    assert_eq!(post(&infer, &[], SLOW_BODY).status, 200);
    let metrics = get(&format!("{}/metrics", server.url()));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let waiting = text.lines().find(|line| line.starts_with("decima_queue_rows{")).unwrap();
    assert!(waiting.ends_with(" 0"), "{waiting}");
    assert!(text.contains("decima_in_flight_requests 0"), "{text}");
}
