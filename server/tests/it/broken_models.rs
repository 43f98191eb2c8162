//! Models that cannot be loaded at the start, beside others that can.

use std::fs;

use oip::{Datatype, grpc::messages::ServerReadyRequest};
use serde_json::Value;

use crate::{
    model_control::{infer, load},
    support::{Grpc, Server, ServerBuilder, eventually, get, models, post},
};

const GO_ON: [&str; 2] = ["--exit-on-error", "false"];

fn good() -> Vec<u8> {
    models::identity(Datatype::Fp32)
}

/// A server that goes on without what is broken.
fn serving(builder: ServerBuilder) -> Server {
    let server = builder.args(GO_ON).start_to_fail();
    server.wait_for("serving, but not ready");
    server
}

fn ready(server: &Server) -> u16 {
    get(&format!("{}/v2/health/ready", server.url())).status
}

/// The entry of a model in the index.
fn entry(server: &Server, model: &str) -> Value {
    let index = post(&format!("{}/v2/repository/index", server.url()), &[], b"").json();
    let entry = index.as_array().unwrap().iter().find(|entry| entry["name"] == model);
    entry.unwrap_or_else(|| panic!("{model} is not in {index}")).clone()
}

fn metrics(server: &Server) -> String {
    String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap()
}

fn errors(server: &Server) -> Vec<String> {
    server.log().into_iter().filter(|line| line.contains("\"ERROR\"")).collect()
}

/// A server with the model `bad` in a state that each case describes, beside a good one.
type Break = fn(ServerBuilder) -> ServerBuilder;

const CASES: [(&str, Break, &str); 6] = [
    ("a file that is no model", |server| server.model("bad", "1", b"half a file"), "model.onnx"),
    (
        "a mistake in its configuration",
        |server| server.model("bad", "1", &good()).file("bad/config.toml", "max_batchsize = 1"),
        "max_batchsize",
    ),
    (
        "another digest",
        |server| {
            let config = format!("sha256 = \"{}\"", "0".repeat(64));
            server.model("bad", "1", &good()).file("bad/config.toml", config)
        },
        "sha256",
    ),
    (
        "a version that is not there",
        |server| {
            let config = "version_policy = { specific = [\"7\"] }";
            server.model("bad", "1", &good()).file("bad/config.toml", config)
        },
        "'7'",
    ),
    (
        "a file that is not there",
        |server| {
            let config = "default_model_filename = \"encoder.onnx\"";
            server.model("bad", "1", &good()).file("bad/config.toml", config)
        },
        "encoder.onnx",
    ),
    (
        "a configuration that does not fit",
        |server| {
            let fixed = models::identity_of(Datatype::Fp32, &["1", "2"], &["1", "2"]);
            server.model("bad", "1", &fixed).file("bad/config.toml", "max_batch_size = 4")
        },
        "max_batch_size",
    ),
];

#[test]
fn a_broken_model_ends_the_server_unless_it_is_told_to_go_on() {
    for (case, breaks, named) in CASES {
        let mut server = breaks(ServerBuilder::new().model("m", "1", &good())).start_to_fail();
        assert_eq!(server.wait().code(), Some(70), "{case}");
        let errors = errors(&server);
        assert!(errors.len() == 1 && errors[0].contains(named), "{case}: {errors:?}");
    }
}

#[test]
fn the_others_are_served_and_everybody_learns_which_is_broken_and_why() {
    for (case, breaks, named) in CASES {
        let server = serving(breaks(ServerBuilder::new().model("m", "1", &good())));
        assert_eq!(infer(&server, "m").status, 200, "{case}");
        assert_eq!(infer(&server, "bad").status, 503, "{case}");
        assert_eq!(entry(&server, "m")["state"], "READY", "{case}");
        let bad = entry(&server, "bad");
        assert_eq!((&bad["state"], &bad["version"]), (&"UNAVAILABLE".into(), &"1".into()), "{case}");
        assert!(bad["reason"].as_str().unwrap().contains(named), "{case}: {bad}");
        let metrics = metrics(&server);
        assert!(metrics.contains("decima_model_ready{model=\"bad\",version=\"1\"} 0"), "{case}: {metrics}");
        assert!(metrics.contains("decima_model_ready{model=\"m\",version=\"1\"} 1"), "{case}: {metrics}");
        let errors = errors(&server);
        assert!(errors.len() == 1 && errors[0].contains(named), "{case}: {errors:?}");
        // Readiness is strict where nobody says otherwise.
        assert_eq!(ready(&server), 503, "{case}");
        let grpc = Grpc::connect(&server.url());
        let answer = grpc.wait(grpc.client.clone().server_ready(ServerReadyRequest {})).unwrap();
        assert!(!answer.into_inner().ready, "{case}");
        // A client mends it and has it loaded.
        let _none = fs::remove_file(server.models().join("bad/config.toml"));
        models::write(server.models(), "bad", "1", &good());
        assert_eq!(load(&server, "bad").status, 200, "{case}");
        assert_eq!((infer(&server, "bad").status, ready(&server)), (200, 200), "{case}");
        assert!(
            self::metrics(&server).contains("decima_model_ready{model=\"bad\",version=\"1\"} 1"),
            "{case}"
        );
    }
}

#[test]
fn readiness_that_is_not_strict_comes_with_the_end_of_the_start() {
    let server = ServerBuilder::new().model("m", "1", &good()).model("bad", "1", b"half a file");
    let server = server.args(GO_ON).args(["--strict_readiness=false"]).start();
    assert_eq!((ready(&server), infer(&server, "m").status, infer(&server, "bad").status), (200, 200, 503));
    let grpc = Grpc::connect(&server.url());
    let answer = grpc.wait(grpc.client.clone().server_ready(ServerReadyRequest {})).unwrap();
    assert!(answer.into_inner().ready);
}

#[test]
fn a_strict_server_gets_ready_when_polling_finds_the_mended_model_or_none_any_more() {
    let server = ServerBuilder::new().model("m", "1", &good()).model("bad", "1", b"half a file");
    let server = server.model("worse", "1", &good()).file("worse/config.toml", "x = 1");
    let server = serving(server.args(["--poll-interval", "20ms"]));
    assert_eq!(ready(&server), 503);
    models::write(server.models(), "bad", "2", &good());
    eventually(|| infer(&server, "bad").status == 200);
    assert_eq!(ready(&server), 503, "the other one is broken still");
    let broken = errors(&server);
    assert_eq!(broken.len(), 2, "not at each look: {broken:?}");
    fs::remove_dir_all(server.models().join("worse")).unwrap();
    eventually(|| ready(&server) == 200);
    // What breaks later leaves it ready.
    models::write(server.models(), "bad", "3", b"half a file");
    eventually(|| errors(&server).len() == 3);
    assert_eq!((ready(&server), infer(&server, "bad").status), (200, 200));
    // A mistake in a configuration concerns its model alone, and what answers goes on.
    fs::write(server.models().join("m/config.toml"), "x = 1").unwrap();
    models::write(server.models(), "new", "1", &good());
    eventually(|| infer(&server, "new").status == 200 && errors(&server).len() == 4);
    assert_eq!((ready(&server), infer(&server, "m").status), (200, 200));
}

#[test]
fn a_name_in_two_places_concerns_that_model_alone() {
    let other = tempfile::tempdir().unwrap();
    models::write(other.path(), "both", "1", &good());
    models::write(other.path(), "there", "1", &good());
    let place = other.path().to_str().unwrap();
    let builder = || ServerBuilder::new().model("both", "1", &good()).model("here", "1", &good());
    let mut server = builder().args(["--model-repository", place]).start_to_fail();
    assert_eq!(server.wait().code(), Some(70));
    let server = serving(builder().args(["--model-repository", place]));
    assert_eq!(["here", "there", "both"].map(|model| infer(&server, model).status), [200, 200, 503]);
    let reason = entry(&server, "both")["reason"].to_string();
    assert!(reason.contains("in two repositories"), "{reason}");
    let errors = errors(&server);
    assert!(errors.len() == 1 && errors[0].contains(place), "{errors:?}");
    fs::remove_dir_all(server.models().join("both")).unwrap();
    assert_eq!((load(&server, "both").status, infer(&server, "both").status), (200, 200));
    assert_eq!(ready(&server), 200);
}

#[test]
fn a_place_that_cannot_be_read_leaves_the_others_served() {
    let empty = tempfile::tempdir().unwrap();
    let place = empty.path().to_str().unwrap();
    let args = ["--model-repository", place, "--poll-interval", "20ms"];
    let mut server = ServerBuilder::new().model("m", "1", &good()).args(args).start_to_fail();
    assert_eq!(server.wait().code(), Some(70));
    let server = serving(ServerBuilder::new().model("m", "1", &good()).args(args));
    assert_eq!((infer(&server, "m").status, ready(&server)), (200, 503));
    assert!(errors(&server)[0].contains(place));
    models::write(empty.path(), "late", "1", &good());
    eventually(|| ready(&server) == 200);
    assert_eq!(infer(&server, "late").status, 200);
}
