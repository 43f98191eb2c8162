//! What is counted of the classes that win, on every wire, and what is not.

use std::{fs, path::Path};

use oip::Datatype;

use crate::{
    model_control::{load, unload},
    support::{Server, ServerBuilder, get, models, post},
};

/// Four scores go in and come out.
fn scores() -> Vec<u8> {
    models::identity_of(Datatype::Fp32, &["N", "4"], &["N", "4"])
}

const LABELS: &str = "labels = [\"zero\", \"one\", \"two\", \"\"]";

fn metrics(server: &Server) -> String {
    String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap()
}

/// The values of all series of this name and this version, by class.
fn wins(server: &Server, model: &str, version: &str) -> Vec<(String, u64)> {
    let text = metrics(server);
    let end = format!("\",model=\"{model}\",version=\"{version}\"}} ");
    let series = text.lines().filter_map(|line| {
        let (class, value) =
            line.strip_prefix("decima_predictions_total{class=\"")?.split_once(end.as_str())?;
        Some((class.to_owned(), value.parse().unwrap()))
    });
    series.collect()
}

fn expected(wins: [(&str, u64); 4]) -> Vec<(String, u64)> {
    wins.map(|(class, count)| (class.to_owned(), count)).to_vec()
}

fn infer(server: &Server, model: &str, more: &str) -> u16 {
    let body = format!(
        r#"{{"inputs":[{{"name":"x","shape":[3,4],"datatype":"FP32",
            "data":[0.1,0.5,0.25,0.15, 0,0,0,1, 0.96,0.02,0.02,0]}}]{more}}}"#
    );
    post(&format!("{}/v2/models/{model}/infer", server.url()), &[], body.as_bytes()).status
}

#[test]
fn each_row_counts_for_its_class_whatever_the_request_asks_for() {
    let server = ServerBuilder::new()
        .model("m", "1", &scores())
        .file("m/config.toml", LABELS)
        .model("silent", "1", &scores())
        .file("silent/config.toml", format!("{LABELS}\n[metrics]\npredictions = false"))
        .model("nameless", "1", &scores())
        .model("others", "1", &scores())
        .file("others/config.toml", "labels = [\"zero\", \"one\"]")
        .start();
    let zeros = expected([("3", 0), ("one", 0), ("two", 0), ("zero", 0)]);
    assert_eq!(wins(&server, "m", "1"), zeros, "a rate needs a start, and warming up is no prediction");
    let classes = r#","outputs":[{"name":"y","parameters":{"classification":1}}]"#;
    for more in ["", classes] {
        for model in ["m", "silent", "nameless", "others"] {
            assert_eq!(infer(&server, model, more), 200);
        }
    }
    let body = br#"{"instances":[[0,2,1,0]]}"#;
    assert_eq!(post(&format!("{}/v1/models/m:predict", server.url()), &[], body).status, 200);
    assert_eq!(post(&format!("{}/v1/models/m:predict", server.url()), &[], b"{}").status, 400);
    assert_eq!(wins(&server, "m", "1"), expected([("3", 2), ("one", 3), ("two", 0), ("zero", 2)]));
    let text = metrics(&server);
    for line in [
        r#"decima_prediction_score_bucket{model="m",version="1",le="0.4"} 0"#,
        r#"decima_prediction_score_bucket{model="m",version="1",le="0.5"} 2"#,
        r#"decima_prediction_score_bucket{model="m",version="1",le="0.95"} 2"#,
        r#"decima_prediction_score_bucket{model="m",version="1",le="0.99"} 4"#,
        r#"decima_prediction_score_bucket{model="m",version="1",le="1"} 6"#,
        r#"decima_prediction_score_count{model="m",version="1"} 7"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    for model in ["silent", "nameless", "others"] {
        let of_model = |line: &&str| line.contains("_prediction") && line.contains(model);
        assert_eq!(text.lines().filter(of_model).collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
fn the_series_of_a_version_go_with_it() {
    let server = ServerBuilder::new()
        .model("m", "1", &scores())
        .file("m/config.toml", format!("version_policy = \"all\"\n{LABELS}"))
        .start();
    assert_eq!(infer(&server, "m", ""), 200);
    models::write(server.models(), "m", "2", &scores());
    assert_eq!(load(&server, "m").status, 200);
    assert_eq!(infer(&server, "m", ""), 200);
    let once = expected([("3", 1), ("one", 1), ("two", 0), ("zero", 1)]);
    assert_eq!((wins(&server, "m", "1"), wins(&server, "m", "2")), (once.clone(), once.clone()));

    // The newest alone, which has other labels meanwhile: a loaded version keeps what it was loaded with.
    fs::write(server.models().join("m/config.toml"), "labels = [\"a\", \"one\", \"two\", \"\"]").unwrap();
    assert_eq!(load(&server, "m").status, 200);
    assert!(wins(&server, "m", "1").is_empty());
    assert_eq!(wins(&server, "m", "2"), expected([("3", 1), ("a", 0), ("one", 1), ("two", 0)]));
    assert_eq!(unload(&server, "m").status, 200);
    let text = metrics(&server);
    assert!(!text.contains("decima_prediction"), "{text}");
    assert!(text.contains(r#"decima_model_ready{model="m",version="2"} 0"#), "other series stay");
    assert_eq!(load(&server, "m").status, 200);
    assert_eq!(wins(&server, "m", "2"), expected([("3", 0), ("a", 0), ("one", 0), ("two", 0)]));

    // Switched off, and the same file again.
    let off = "labels = [\"a\", \"one\", \"two\", \"\"]\n[metrics]\npredictions = false";
    fs::write(server.models().join("m/config.toml"), off).unwrap();
    assert_eq!(load(&server, "m").status, 200);
    assert_eq!(infer(&server, "m", ""), 200);
    assert!(!metrics(&server).contains("decima_prediction"));
}

#[test]
fn a_picture_of_a_seven_is_a_seven() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let picture = fs::read(models.join("digits/seven.png")).unwrap();
    let server = ServerBuilder::new().args(["--model-repository", models.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    let url = format!("{}/v2/models/digits/infer", server.url());
    assert_eq!(post(&url, &[("content-type", "image/png")], &picture).status, 200);
    let wins = wins(&server, "digits", "1");
    assert_eq!(wins.len(), 10);
    for (class, count) in wins {
        assert_eq!(count, u64::from(class == "7"), "{class}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_measured_under_the_usual_names() {
    let server = ServerBuilder::new().model("m", "1", &scores()).start();
    let value = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
    };
    let before = metrics(&server);
    for _ in 0..200 {
        assert_eq!(infer(&server, "m", ""), 200);
    }
    let after = metrics(&server);
    for text in [&before, &after] {
        assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"), "{text}");
        assert!(value(text, "process_resident_memory_bytes") > 1e6);
        assert!(value(text, "process_open_fds") > 3.0 && value(text, "process_threads") > 1.0);
        assert!(value(text, "process_max_fds") > value(text, "process_open_fds"));
    }
    let cpu = server.cpu_time().as_secs_f64();
    let (first, second) =
        (value(&before, "process_cpu_seconds_total"), value(&after, "process_cpu_seconds_total"));
    assert!(0.0 < first && first < second && second <= cpu + 0.01, "{first}, {second}, {cpu}");
    let started = |text| value(text, "process_start_time_seconds");
    assert_eq!(started(&before).to_bits(), started(&after).to_bits());
}
