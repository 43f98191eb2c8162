use super::*;
use crate::{failure::Failure, recorder::Timing};

fn report(pace: Pace, recorder: &Recorder) -> Report {
    let schedule = Schedule {
        pace,
        warmup: Duration::from_secs(1),
        duration: Some(Duration::from_secs(2)),
        requests: None,
    };
    let target = Target {
        url: "http://127.0.0.1:8080".into(),
        server_name: "decima-server".into(),
        server_version: "0.1.0".into(),
        model: "digits".into(),
        model_version: None,
    };
    let rate = match pace {
        Pace::Open { rate } => Some(rate),
        Pace::Closed => None,
    };
    let load = LoadShape {
        pace: if rate.is_some() { "open" } else { "closed" },
        rate_per_second: rate,
        wire: "json".into(),
        connections: 4,
        threads: 1,
        rows_per_request: 16,
        distinct_requests: 8,
        warmup_seconds: 1.0,
        timeout_seconds: 10.0,
        seed: 1,
    };
    let outcome = Outcome { schedule, recorder, window: Duration::from_secs(2), interrupted: false };
    Report::new(target, load, outcome)
}

fn recorder() -> Recorder {
    let mut recorder = Recorder::new();
    for millis in 1..=3000 {
        let latency = Duration::from_millis(millis);
        recorder.answered(Timing { latency, send_delay: latency / 10, in_window: millis <= 2500 });
    }
    recorder.failed(Failure::new(FailureKind::Status(429), "model 'digits': the queue is full"), true);
    recorder
}

#[test]
fn rates_count_what_was_answered_in_the_window() {
    let report = report(Pace::Closed, &recorder());
    assert_eq!(report.requests, Requests { succeeded: 3000, wrong: 0, failed: 1 });
    assert!((report.throughput.requests_per_second - 1250.0).abs() < 1e-9);
    assert!((report.throughput.rows_per_second - 20_000.0).abs() < 1e-9);
    assert!(report.is_good() && report.send_delay_seconds.is_none());
}

#[test]
fn a_wrong_answer_or_none_at_all_is_not_good() {
    let mut wrong = recorder();
    wrong.failed(Failure::new(FailureKind::Wrong, "output 'sum' is missing"), false);
    assert!(!report(Pace::Closed, &wrong).is_good());
    assert!(!report(Pace::Closed, &Recorder::new()).is_good());
}

#[test]
fn the_json_follows_its_schema() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for report in [
        report(Pace::Closed, &recorder()),
        report(Pace::Open { rate: 500.0 }, &recorder()),
        report(Pace::Closed, &Recorder::new()),
    ] {
        let json = serde_json::to_value(&report).unwrap();
        let problems: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}");
        // The schema is strict: it requires every field and allows no others.
        for field in json.as_object().unwrap().keys() {
            let mut less = json.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(!validator.is_valid(&less), "the schema accepts a report without '{field}'");
        }
        let mut more = json.clone();
        more["load"]["new"] = true.into();
        assert!(!validator.is_valid(&more), "the schema accepts an unknown field 'load.new'");
    }
}

#[test]
fn the_table_has_all_results() {
    let expected = "\
decima-server 0.1.0 at http://127.0.0.1:8080: model digits, json, 16 rows a request
open loop of 500 requests/s over up to 4 connections, 2.0 s measured after 1.0 s of warm-up

  requests    3,000 succeeded, 0 wrong, 1 failed
  throughput  1,250 requests/s, 20,000 rows/s

  milliseconds from           mean       p50       p90       p99     p99.9       max
  the intended send time  1500.501  1500.512  2701.132  2971.664  2998.927  3001.025
    part before sending    150.050   150.077   270.008   297.009   299.893   300.155

  errors
           1  http 429: model 'digits': the queue is full
";
    let table = report(Pace::Open { rate: 500.0 }, &recorder()).to_string();
    assert_eq!(table, expected);
}
