//! Compressed requests and answers: the same on every way in, whether requests are traced or not.

use std::io::Read as _;

use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder},
};
use oip::Datatype;

use crate::support::{Answer, Collector, Server, ServerBuilder, models, post};

/// Paths of V2 that name the model `m`: as it is, with its version, and with an escape that only the router reads.
const PATHS: [&str; 3] = ["/v2/models/m/infer", "/v2/models/m/versions/1/infer", "/v2/models/%6d/infer"];

/// A server that exports no traces, and one that does.
fn servers(collector: &Collector) -> [Server; 2] {
    let server = || ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32));
    [server().start(), server().envs([("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).start()]
}

/// A request in JSON with so many rows, whose answer has some 12 bytes for each.
fn body(rows: usize) -> String {
    let data = vec!["0.125,0.25"; rows].join(",");
    format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{rows},2],"data":[{data}]}}]}}"#)
}

fn packed(coding: &str, body: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    match coding {
        "gzip" => GzEncoder::new(body.as_bytes(), Compression::fast()).read_to_end(&mut packed).unwrap(),
        _ => ZlibEncoder::new(body.as_bytes(), Compression::fast()).read_to_end(&mut packed).unwrap(),
    };
    packed
}

fn coding_of(answer: &Answer) -> Option<&str> {
    answer.headers.get("content-encoding").map(|coding| coding.to_str().unwrap())
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut body = Vec::new();
    match coding_of(answer) {
        None => body.extend_from_slice(&answer.body),
        Some("gzip") => _ = GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap(),
        Some("deflate") => _ = ZlibDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap(),
        Some(other) => panic!("coded as {other}"),
    }
    body
}

#[test]
fn long_answers_are_compressed_for_clients_that_ask_and_short_ones_are_not() {
    let collector = Collector::start();
    for server in servers(&collector) {
        for path in PATHS {
            let url = format!("{}{path}", server.url());
            for (rows, is_long) in [(1, false), (600, true)] {
                let plain = post(&url, &[], body(rows).as_bytes());
                assert!(plain.status == 200 && (plain.body.len() > 1024) == is_long, "{}", plain.body.len());
                for coding in ["gzip", "deflate"] {
                    let answer = post(&url, &[("accept-encoding", coding)], body(rows).as_bytes());
                    let expected = is_long.then_some(coding);
                    assert_eq!(coding_of(&answer), expected, "{path}");
                    assert_eq!(unpacked(&answer), plain.body, "{path} {coding}");
                    let from_packed =
                        post(&url, &[("content-encoding", coding)], &packed(coding, &body(rows)));
                    assert_eq!(from_packed.body, plain.body, "{path} {coding}");
                }
            }
        }
    }
}

#[test]
fn what_is_compressed_otherwise_or_badly_is_refused_and_errors_are_sent_as_they_are() {
    let collector = Collector::start();
    for server in servers(&collector) {
        for path in PATHS {
            let url = format!("{}{path}", server.url());
            let answer = post(&url, &[("content-encoding", "br")], b"anything");
            assert_eq!(
                (answer.status, answer.headers["accept-encoding"].to_str().unwrap()),
                (415, "gzip,deflate"),
                "{path}"
            );
            assert!(answer.error().contains("gzip"), "{}", answer.error());
            let answer = post(&url, &[("content-encoding", "gzip")], b"this is no gzip");
            assert_eq!(answer.status, 400, "{path}");
            let wrong = format!("{{\"{}\":", "a".repeat(2000));
            let error = post(&url, &[("accept-encoding", "gzip")], wrong.as_bytes());
            assert_eq!((error.status, coding_of(&error)), (400, None), "{path}");
        }
    }
}
