//! Corrections: what is stored, what is refused, and what bounds them.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::ImageFormat;
use oip::Datatype;
use serde_json::{Value, json};
use storage::{Store, testkit::Minio};
use tempfile::TempDir;

use crate::support::{
    Answer, Server, ServerBuilder, corrections as pictures, eventually, get, models, pictures as digits, post,
};

const LABELS: &str = "labels = [\"zero\", \"one\", \"..\", \"a/b\"]\n";

/// A server with a model `m` of four classes that stores what comes at `place`.
fn server(place: &str, args: &[&str]) -> Server {
    builder(args).args(["--feedback", place]).start()
}

fn builder(args: &[&str]) -> ServerBuilder {
    let model = models::identity(Datatype::Fp32);
    let server = ServerBuilder::new().model("m", "3", &model).file("m/config.toml", LABELS);
    server.model("bare", "1", &model).args(args.iter().copied())
}

fn correction(picture: &[u8], label: impl Into<Value>) -> Value {
    json!({ "model": "m", "version": "3", "picture": STANDARD.encode(picture), "label": label.into() })
}

fn send(server: &Server, correction: &Value) -> Answer {
    send_as(server, "application/json", correction)
}

fn send_as(server: &Server, content_type: &str, correction: &Value) -> Answer {
    let url = format!("{}/feedback", server.url());
    post(&url, &[("content-type", content_type)], correction.to_string().as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    decima_trainer::files::sha256(&[bytes])
}

/// Every file below a folder, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_correction_is_stored_as_it_came_with_what_it_is_about() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("place");
    let server = server(place.to_str().unwrap(), &[]);
    let state = get(&format!("{}/feedback", server.url()));
    assert_eq!((state.status, state.json()), (200, json!({ "enabled": true })));

    let (first, second) = (pictures::png(9, 7, 40), pictures::png(9, 7, 41));
    let answer = send(&server, &correction(&first, "one"));
    let name = format!("one/{}", sha256(&first));
    assert_eq!((answer.status, answer.json()), (201, json!({ "stored": format!("{name}.png") })));
    assert_eq!(fs::read(place.join(format!("{name}.png"))).unwrap(), first);
    let read =
        || serde_json::from_slice::<Value>(&fs::read(place.join(format!("{name}.json"))).unwrap()).unwrap();
    let about = read();
    let expected = json!({
        "label": "one", "model": "m", "version": "3", "sha256": sha256(&first), "time": about["time"],
    });
    assert_eq!(about, expected);
    let time = about["time"].as_str().unwrap();
    let age = humantime::parse_rfc3339(time).unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 60, "{time}");

    // again: one picture, and the time of the last
    assert_eq!(send(&server, &correction(&first, "one")).status, 201);
    assert!(read()["time"].as_str().unwrap() > time);
    // by the index of its class, of the newest version, as a canvas writes it
    let url = format!("data:image/png;base64,{}", STANDARD.encode(&second));
    for label in [json!("0"), json!(0)] {
        let answer = send(&server, &json!({ "model": "m", "picture": url, "label": label }));
        assert_eq!(answer.json(), json!({ "stored": format!("zero/{}.png", sha256(&second)) }));
    }
    let mut expected = vec![format!("{name}.json"), format!("{name}.png")];
    expected.extend(["json", "png"].map(|end| format!("zero/{}.{end}", sha256(&second))));
    assert_eq!(files(&place), expected);
    let metrics = String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap();
    assert!(metrics.contains("decima_feedback_total{model=\"m\",outcome=\"stored\"} 4"), "{metrics}");
}

#[test]
fn what_is_no_correction_is_refused_and_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("place");
    let server = server(place.to_str().unwrap(), &[]);
    let picture = pictures::png(8, 8, 0);
    let right = correction(&picture, "one");
    let with = |key: &str, value: Value| {
        let mut changed = right.clone();
        changed[key] = value;
        changed
    };
    let encoded = |bytes: &[u8]| json!(STANDARD.encode(bytes));
    let huge_head = pictures::png_head(50_000, 50_000);
    let mut cut = picture.clone();
    cut.truncate(picture.len() - 20);
    for (correction, status, named) in [
        (with("model", json!("none")), 404, "'none'"),
        (with("model", json!("../m")), 404, "../m"),
        (with("version", json!("4")), 404, "its only version is 3"),
        (with("model", json!("bare")), 404, "version"),
        (json!({ "model": "bare", "picture": encoded(&picture), "label": "0" }), 400, "has no labels"),
        (with("label", json!("seven")), 400, "expected one of zero, one"),
        (with("label", json!(4)), 400, "'4'"),
        (with("label", json!("../../etc")), 400, "'../../etc'"),
        (with("label", json!(["one"])), 400, "label"),
        (with("picture", encoded(b"")), 400, "empty"),
        (with("picture", encoded(b"<svg xmlns='http://www.w3.org/2000/svg'/>")), 400, "SVG"),
        (with("picture", encoded(b"#!/bin/sh\nreboot")), 400, "not supported"),
        (with("picture", encoded(&cut)), 400, "PNG"),
        (with("picture", encoded(&huge_head)), 413, "50000"),
        (with("picture", json!("no base64!")), 400, "base64"),
        (with("picture", json!("data:image/png,abc")), 400, "base64"),
        (with("picture", encoded(&vec![0; (1 << 20) + 1])), 413, "1048576"),
        (with("picture", json!("A".repeat(2 << 20))), 413, "limit of this path"),
        (json!({ "model": "m" }), 400, "missing field"),
        (json!([1]), 400, "the body is wrong"),
    ] {
        let answer = send(&server, &correction);
        assert_eq!(answer.status, status, "{named}: {answer:?}");
        assert!(answer.error().contains(named), "{named}: {}", answer.error());
    }
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    {
        assert_eq!(send_as(&server, content_type, &right).status, 415, "{content_type}");
    }
    assert_eq!(files(root.path()), Vec::<String>::new());
    assert_eq!(send_as(&server, "Application/JSON; charset=utf-8", &right).status, 201);
    let metrics = String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap();
    assert!(
        !metrics.contains("decima_feedback_total{model=\"none\""),
        "clients make up no series: {metrics}"
    );
}

#[test]
fn labels_that_look_like_paths_stay_in_the_place() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("place");
    let server = server(place.to_str().unwrap(), &[]);
    for label in ["..", "a/b"] {
        let answer = send(&server, &correction(&pictures::png(8, 8, 0), label));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let outside: Vec<_> = files(root.path())
        .into_iter()
        .filter(|file| !file.starts_with("place/%2E") && !file.starts_with("place/a%2Fb/"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
    assert_eq!(files(&place).len(), 4);
}

#[test]
fn without_a_place_there_is_nothing() {
    let server = builder(&[]).start();
    let (state, answer) = (
        get(&format!("{}/feedback", server.url())),
        send(&server, &correction(&pictures::png(8, 8, 0), "one")),
    );
    assert_eq!((state.status, state.json()), (200, json!({ "enabled": false })));
    assert_eq!(answer.status, 404);
    assert!(answer.error().contains("--feedback"));
}

#[test]
fn corrections_have_the_pixels_of_every_other_picture() {
    let root = TempDir::new().unwrap();
    let server = server(root.path().to_str().unwrap(), &["--max-picture-pixels", "62"]);
    assert_eq!(send(&server, &correction(&pictures::png(31, 2, 40), "one")).status, 201);
    let answer = send(&server, &correction(&pictures::png(9, 7, 40), "one"));
    assert_eq!(answer.status, 413);
    assert!(answer.error().contains("--max-picture-pixels"), "{answer:?}");
}

#[test]
fn minutes_and_bytes_are_bounded() {
    let root = TempDir::new().unwrap();
    let place = root.path().to_str().unwrap();
    let few = server(place, &["--feedback-rate", "2"]);
    for red in [1, 2] {
        assert_eq!(send(&few, &correction(&pictures::png(8, 8, red), "one")).status, 201);
    }
    let answer = send(&few, &correction(&pictures::png(8, 8, 3), "one"));
    assert_eq!(answer.status, 429);
    assert!(answer.error().contains("--feedback-rate"), "{}", answer.error());
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");

    let picture = pictures::png(8, 8, 4);
    let size = picture.len().to_string();
    let small = server(place, &["--feedback-size", &size]);
    let mut broken = picture.clone();
    broken.truncate(picture.len() - 20);
    assert_eq!(send(&small, &correction(&broken, "one")).status, 400, "takes no room");
    assert_eq!(send(&small, &correction(&picture, "one")).status, 201);
    let answer = send(&small, &correction(&picture, "one"));
    assert_eq!(answer.status, 429);
    assert!(answer.error().contains("--feedback-size"), "{}", answer.error());
}

#[test]
fn pages_of_other_origins_are_told_what_the_setting_allows() {
    let root = TempDir::new().unwrap();
    let preflight = |server: &Server| {
        let request = ureq::http::Request::options(format!("{}/feedback", server.url()))
            .header("origin", "http://evil.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.build().into();
        let answer = agent.run(request.body(()).unwrap()).unwrap();
        answer.headers().contains_key("access-control-allow-origin")
    };
    let place = root.path().to_str().unwrap();
    assert!(!preflight(&server(place, &[])));
    assert!(!preflight(&server(place, &["--cors-origins", "http://good.example"])));
    assert!(preflight(&server(place, &["--cors-origins", "http://evil.example"])));
}

#[test]
fn a_place_that_takes_nothing_is_503_and_one_warning() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let server = server(file.to_str().unwrap(), &[]);
    for red in 0..3 {
        let answer = send(&server, &correction(&pictures::png(8, 8, red), "one"));
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.error().contains(root.path().to_str().unwrap()), "clients learn no path");
    }
    server.wait_for("corrections cannot be stored");
    let warnings = server.log().iter().filter(|line| line.contains("corrections cannot be stored")).count();
    assert_eq!(warnings, 1, "{:?}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_corrections_and_may_come_and_go() {
    let mut minio = Minio::start().await;
    minio.create_bucket("decima").await;
    let variables = minio.variables();
    let server = builder(&["--feedback", "s3://decima/feedback"]).envs(variables).start();
    let picture = pictures::png(12, 10, 9);
    let name = format!("one/{}", sha256(&picture));
    assert_eq!(
        send(&server, &correction(&picture, "one")).json(),
        json!({ "stored": format!("{name}.png") })
    );
    let store = Store::open(&minio.location("decima/feedback"), &minio.settings()).unwrap();
    let keys =
        || async { store.list().await.unwrap().into_iter().map(|object| object.key).collect::<Vec<_>>() };
    assert_eq!(keys().await, [format!("{name}.json"), format!("{name}.png")]);
    assert_eq!(store.read(&format!("{name}.png"), 1 << 20).await.unwrap(), picture);

    minio.stop().await;
    let answer = send(&server, &correction(&pictures::png(12, 10, 10), "one"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.error().contains("127.0.0.1"), "clients learn no address");
    assert_eq!(server.wait_for("corrections cannot be stored")["level"], "WARN");
    minio.start_again().await;
    eventually(|| send(&server, &correction(&pictures::png(12, 10, 10), "zero")).status == 201);
    assert_eq!(keys().await.len(), 4);
}

#[test]
fn a_model_of_digits_is_corrected_with_one_digit_at_a_time() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("place");
    let dims = ["N", "28", "28", "1"];
    let server = ServerBuilder::new()
        .model("m", "3", &models::identity_of(Datatype::Fp32, &dims, &dims))
        .file("m/config.toml", format!("{LABELS}{}", digits::MNIST))
        .args(["--feedback", place.to_str().unwrap()])
        .start();
    // What a training would leave out is refused, with the reason that it would give.
    for (picture, named) in [
        (digits::blank(), "no ink found"),
        (digits::one_and_seven(), "2 digits side by side, not one"),
        (pictures::png(9, 7, 40), "no ink found"),
    ] {
        let answer = send(&server, &correction(&picture, "one"));
        assert_eq!(answer.status, 400, "{named}: {answer:?}");
        assert!(answer.error().contains(named), "{named}: {}", answer.error());
    }
    assert_eq!(files(root.path()), Vec::<String>::new());
    let seven = digits::seven(ImageFormat::Png);
    // In every form of base64 that an inference takes.
    let standard = STANDARD.encode(&seven);
    for picture in [
        standard.clone(),
        standard.trim_end_matches('=').to_owned(),
        standard.replace('+', "-").replace('/', "_"),
        standard
            .as_bytes()
            .chunks(76)
            .map(|line| str::from_utf8(line).unwrap())
            .collect::<Vec<_>>()
            .join("\r\n"),
        format!("DATA:image/png;base64,{standard}"),
    ] {
        let answer = send(&server, &json!({ "model": "m", "picture": picture, "label": "one" }));
        let name = format!("one/{}.png", sha256(&seven));
        assert_eq!((answer.status, answer.json()), (201, json!({ "stored": name })), "{}", &picture[..40]);
    }
    assert_eq!(files(&place).len(), 2);
}
