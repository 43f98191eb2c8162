//! Metrics under the names of Triton and of KServe's own servers.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use oip::Datatype;

use crate::support::{Server, ServerBuilder, get, models, post};

const BODY: &[u8] = br#"{"inputs":[{"name":"x","shape":[3,2],"datatype":"FP32","data":[1,2,3,4,5,6]}]}"#;

fn server(args: &[&str]) -> Server {
    ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("table", "3", &models::table())
        .args(args.iter().copied())
        .start()
}

/// The metrics after some traffic: two successes and two malformed requests to one model, one failure of ONNX
/// Runtime in another.
fn metrics_after_traffic(server: &Server) -> String {
    let url = server.url();
    assert_eq!(post(&format!("{url}/v2/models/m/infer"), &[], BODY).status, 200);
    let instances = br#"{"instances":[[1,2],[3,4]]}"#;
    assert_eq!(post(&format!("{url}/v1/models/m:predict"), &[], instances).status, 200);
    for path in ["v2/models/m/infer", "v1/models/m:predict"] {
        assert_eq!(post(&format!("{url}/{path}"), &[], b"{").status, 400);
    }
    let beyond = br#"{"inputs":[{"name":"index","datatype":"INT64","shape":[1],"data":[99]}]}"#;
    assert_eq!(post(&format!("{url}/v2/models/table/infer"), &[], beyond).status, 400);
    metrics(server)
}

fn metrics(server: &Server) -> String {
    String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap()
}

fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().unwrap()
}

#[test]
fn triton_s_counters_agree_with_the_traffic() {
    let text = metrics_after_traffic(&server(&["--metrics-compat", "triton"]));
    let m = r#"{model="m",version="1"}"#;
    for (name, expected) in [
        ("nv_inference_request_success", 2),
        ("nv_inference_count", 5),
        ("nv_inference_exec_count", 2),
        ("nv_inference_pending_request_count", 0),
    ] {
        assert_eq!(value(&text, &format!("{name}{m}")), expected, "{name}");
    }
    for part in ["request", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert!(value(&text, &format!("nv_inference_{part}_duration_us{m}")) < 60_000_000, "{part}");
    }
    let spent = |part: &str| value(&text, &format!("nv_inference_{part}_duration_us{m}"));
    assert!(spent("request") > 0 && spent("request") >= spent("compute_infer"));
    for (model, version, reason, expected) in [
        ("m", "1", "OTHER", 2),
        ("m", "1", "BACKEND", 0),
        ("m", "1", "CANCELED", 0),
        ("table", "3", "OTHER", 1),
        ("table", "3", "BACKEND", 0),
        ("table", "3", "REJECTED", 0),
    ] {
        let labels = format!(r#"{{model="{model}",reason="{reason}",version="{version}"}}"#);
        assert_eq!(value(&text, &format!("nv_inference_request_failure{labels}")), expected, "{labels}");
    }
    assert!(text.contains("# TYPE nv_inference_count counter"));
    assert!(text.contains("# TYPE nv_inference_pending_request_count gauge"));
    assert!(!text.contains("request_predict_seconds"));
}

#[test]
fn a_request_whose_client_went_away_is_canceled() {
    let server = ServerBuilder::new()
        .model("slow", "1", &models::slow())
        .args(["--metrics-compat", "triton", "--threads", "1"])
        .start();
    let body = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[32,1,1],"data":{:?}}}]}}"#,
        vec![1; 32]
    );
    let head = "POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length:";
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    let labels = r#"{model="slow",reason="CANCELED",version="1"}"#;
    let gives_up = Instant::now() + Duration::from_mins(1);
    // One that leaves too early is not there to be counted, and a fast machine may have answered.
    while value(&metrics(&server), &format!("nv_inference_request_failure{labels}")) == 0 {
        assert!(Instant::now() < gives_up, "none is counted");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let _seen = (0..100).any(|_| value(&metrics(&server), "decima_in_flight_requests") > 0);
    }
    let text = metrics(&server);
    assert!(text.contains(r#"code="499",model="slow",protocol="rest""#), "{text}");
}

#[test]
fn kserve_s_histograms_time_what_a_request_goes_through() {
    let server = server(&["--metrics-compat", "kserve,triton"]);
    let text = metrics_after_traffic(&server);
    for (stage, expected) in [("preprocess", 4), ("predict", 2), ("postprocess", 2)] {
        let series = format!(r#"request_{stage}_seconds_count{{model_name="m"}}"#);
        assert_eq!(value(&text, &series), expected, "{stage}");
        assert!(text.contains(&format!(r#"request_{stage}_seconds_bucket{{model_name="m",le="+Inf"}}"#)));
    }
    assert!(text.contains("nv_inference_count"));
}

#[test]
fn without_the_setting_there_are_none_and_a_wrong_one_is_refused() {
    let text = metrics_after_traffic(&server(&[]));
    assert!(!text.contains("nv_inference") && !text.contains("request_predict_seconds"), "{text}");
    let mut server = ServerBuilder::new().args(["--metrics-compat", "tensorflow"]).start_to_fail();
    assert_eq!(server.wait().code(), Some(64));
}
