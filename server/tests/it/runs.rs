//! Runs that take long, or for ever: whoever else asks is answered meanwhile.

use std::{
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oip::{
    Datatype, Shape, Tensor,
    grpc::messages::{ModelInferRequest, model_infer_request::InferInputTensor},
};
use tonic::Code;

use crate::support::{
    Answer, Grpc, Server, ServerBuilder, eventually, get, infer, infer_binary, long, models, post,
};

/// Turns that no machine makes in a day.
const ENDLESS: i64 = 1_000_000_000_000_000;

/// What others may have to wait where each of the machine's cores is busy. A server that is held up takes as long as the
/// run that holds it up.
const BOUND: Duration = Duration::from_millis(700);

fn tensor<T: bytemuck::Pod>(datatype: Datatype, shape: &[usize], values: &[T]) -> Tensor {
    let data = Bytes::copy_from_slice(bytemuck::cast_slice(values));
    Tensor { datatype, shape: Shape(shape.iter().copied().collect()), data }
}

fn count(url: &str, model: &str, turns: i64) -> Answer {
    infer(url, model, &[("n", tensor(Datatype::Int64, &[], &[turns]))])
}

/// The body of such a request.
fn counting(turns: i64) -> String {
    format!(r#"{{"inputs":[{{"name":"n","datatype":"INT64","shape":[],"data":[{turns}]}}]}}"#)
}

fn counter(args: &[&str]) -> Server {
    ServerBuilder::new()
        .model("counts", "1", &long::counts_to())
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(args.iter().copied())
        .start()
}

/// So many boxes in a row, none of which overlap.
fn boxes(url: &str, count: usize) -> Answer {
    let corners: Vec<f32> =
        (0..count).flat_map(|index| [index as f32, 0.0, index as f32 + 0.5, 1.0]).collect();
    let inputs = [
        ("boxes", tensor(Datatype::Fp32, &[1, count, 4], &corners)),
        ("scores", tensor(Datatype::Fp32, &[1, 1, count], &vec![1_f32; count])),
    ];
    infer_binary(url, "boxes", &inputs)
}

/// Asks everything else that a server answers, for as long as it is so, and says what took longest.
fn ask_meanwhile(url: &str, goes_on: impl Fn() -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    while goes_on() {
        for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/m", "/v2/models/m/ready", "/metrics"]
        {
            let asked = Instant::now();
            assert_eq!(get(&format!("{url}{path}")).status, 200, "{path}");
            longest = longest.max(asked.elapsed());
        }
        let asked = Instant::now();
        assert_eq!(infer(url, "m", &[("x", tensor(Datatype::Fp32, &[1, 2], &[1_f32, 2.0]))]).status, 200);
        longest = longest.max(asked.elapsed());
    }
    longest
}

/// The value of a metric of a model.
fn metric(server: &Server, name: &str, model: &str) -> u64 {
    let text = String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap();
    let of_model =
        |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(&format!("model=\"{model}\""));
    let line = text.lines().find(of_model).unwrap_or_else(|| panic!("no {name} of {model} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn endless_runs_end_with_their_requests_and_hold_nobody_up() {
    for threads in ["1", "2"] {
        let server = counter(&["--threads", threads, "--request-timeout", "1s"]);
        let url = server.url();
        assert_eq!(count(&url, "counts", 3).response().outputs[0].1.data[..], 3_i64.to_le_bytes());
        let over_http = (0..4).map(|_| {
            let url = url.clone();
            thread::spawn(move || {
                let asked = Instant::now();
                let answer = count(&url, "counts", ENDLESS);
                assert_eq!(answer.status, 504, "{}", answer.error());
                asked.elapsed()
            })
        });
        let over_grpc = (0..2).map(|_| {
            let url = url.clone();
            thread::spawn(move || {
                let grpc = Grpc::connect(&url);
                let input = InferInputTensor {
                    name: "n".into(),
                    datatype: "INT64".into(),
                    ..InferInputTensor::default()
                };
                let request = ModelInferRequest {
                    model_name: "counts".into(),
                    inputs: vec![input],
                    raw_input_contents: vec![Bytes::copy_from_slice(&ENDLESS.to_le_bytes())],
                    ..ModelInferRequest::default()
                };
                let asked = Instant::now();
                let status = grpc.wait(grpc.client.clone().model_infer(request)).unwrap_err();
                assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
                asked.elapsed()
            })
        });
        let clients: Vec<_> = over_http.chain(over_grpc).collect();
        let longest = ask_meanwhile(&url, || !clients.iter().all(thread::JoinHandle::is_finished));
        assert!(longest < BOUND, "{threads} threads: {longest:?}");
        for client in clients {
            let took = client.join().unwrap();
            assert!(took < Duration::from_secs(1) + BOUND, "{threads} threads: {took:?}");
        }
        let asked = Instant::now();
        assert_eq!(count(&url, "counts", 10).response().outputs[0].1.data[..], 10_i64.to_le_bytes());
        assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
        assert!(metric(&server, "decima_runs_stopped_total", "counts") >= 1);
        assert_eq!(metric(&server, "decima_runs_not_stopped_total", "counts"), 0);
    }
}

#[test]
fn a_run_ends_when_its_client_goes_away() {
    let server = counter(&["--threads", "1", "--request-timeout", "60s"]);
    let body = counting(ENDLESS);
    eventually(|| {
        let mut client = TcpStream::connect(server.address()).unwrap();
        write!(
            client,
            "POST /v2/models/counts/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        eventually(|| metric_of_in_flight(&server) == 1);
        // It is about to run, if it does not yet.
        thread::park_timeout(Duration::from_millis(200));
        drop(client);
        eventually(|| metric_of_in_flight(&server) == 0);
        count(&server.url(), "counts", 10).status == 200
            && metric(&server, "decima_runs_stopped_total", "counts") >= 1
    });
}

fn metric_of_in_flight(server: &Server) -> u64 {
    let text = String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("decima_in_flight_requests ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_long_document_after_short_ones_holds_nobody_up() {
    let server = ServerBuilder::new()
        .model("boxes", "1", &long::distinct_boxes())
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(["--threads", "1"])
        .start();
    let url = server.url();
    for _ in 0..50 {
        assert_eq!(boxes(&url, 10).status, 200);
    }
    let asking = url.clone();
    let client = thread::spawn(move || boxes(&asking, 40_000).status);
    let longest = ask_meanwhile(&url, || !client.is_finished());
    assert_eq!(client.join().unwrap(), 200);
    assert!(longest < BOUND, "{longest:?}");
}

#[test]
fn an_instance_that_does_not_stop_is_replaced() {
    let mut server = ServerBuilder::new()
        .model("boxes", "1", &long::distinct_boxes())
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(["--threads", "1", "--request-timeout", "1s", "--drain-delay", "0s", "--drain-timeout", "1s"])
        .start();
    let url = server.url();
    assert_eq!(boxes(&url, 10).status, 200);
    assert_eq!(boxes(&url, 300_000).status, 504);
    eventually(|| metric(&server, "decima_runs_not_stopped_total", "boxes") == 1);
    let warning = server.wait_for("does not stop");
    assert_eq!((&warning["level"], &warning["model"]), (&"WARN".into(), &"boxes".into()), "{warning}");
    server.wait_for("another instance");
    assert_eq!(boxes(&url, 10).status, 200);
    assert_eq!(metric(&server, "decima_unstopped_runs", "boxes"), 1, "it goes on");
    // Nobody waits for it at the end either.
    let told = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[test]
fn a_model_with_too_many_runs_that_do_not_stop_is_not_ready_until_one_ends() {
    let server = ServerBuilder::new()
        .model("boxes", "1", &long::distinct_boxes())
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(["--threads", "4", "--request-timeout", "1s"])
        .start();
    let url = server.url();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || boxes(&url, 80_000).status)
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == 504));
    eventually(|| get(&format!("{url}/v2/models/boxes/ready")).status == 503);
    let refused = boxes(&url, 10);
    assert_eq!(refused.status, 503);
    assert!(refused.error().starts_with("model 'boxes' is not ready: 4 of its runs do not stop"));
    let index = post(&format!("{url}/v2/repository/index"), &[], b"").json();
    let boxes_entry =
        index.as_array().unwrap().iter().find(|entry| entry["name"] == "boxes").unwrap().clone();
    assert_eq!(boxes_entry["state"], "UNAVAILABLE", "{index}");
    assert_eq!(metric(&server, "decima_model_ready", "boxes"), 0);
    for path in ["/v2/health/ready", "/v2/models/m/ready"] {
        assert_eq!(get(&format!("{url}{path}")).status, 200, "{path}");
    }
    eventually(|| get(&format!("{url}/v2/models/boxes/ready")).status == 200);
    eventually(|| metric(&server, "decima_unstopped_runs", "boxes") == 0);
    assert_eq!(boxes(&url, 10).status, 200);
}

#[test]
fn a_server_that_is_told_to_stop_ends_in_time_whatever_runs() {
    for (drain, code) in [("1s", 1), ("20s", 0)] {
        let mut server = counter(&[
            "--threads",
            "1",
            "--request-timeout",
            "2s",
            "--drain-delay",
            "0s",
            "--drain-timeout",
            drain,
        ]);
        let url = server.url();
        let client = thread::spawn(move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
            let answer = ureq::Agent::from(agent)
                .post(&format!("{url}/v2/models/counts/infer"))
                .send(counting(ENDLESS).as_bytes());
            answer.map(|answer| answer.status().as_u16()).ok()
        });
        eventually(|| metric_of_in_flight(&server) == 1);
        let told = Instant::now();
        server.terminate();
        assert_eq!(server.wait().code(), Some(code), "{:?}", server.log());
        assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
        assert_eq!(client.join().unwrap(), (code == 0).then_some(504));
    }
}

#[test]
fn a_model_that_never_ends_on_zeros_is_served() {
    let server = ServerBuilder::new().model("ends", "1", &long::endless_unless_told()).start();
    let warning = server.wait_for("without warm-up");
    assert_eq!((&warning["level"], &warning["model"]), (&"WARN".into(), &"ends".into()), "{warning}");
    let answer = infer(&server.url(), "ends", &[("stop", tensor(Datatype::Bool, &[], &[1_u8]))]);
    assert_eq!(answer.response().outputs[0].1.data[..], 0_i64.to_le_bytes());
}

#[test]
fn what_the_model_cannot_compute_is_said_in_one_line_without_paths() {
    let server = ServerBuilder::new()
        .model("sum", "1", &long::sum_of_any_lengths())
        .model("table", "1", &models::table())
        .start();
    let url = server.url();
    let (three, two) = (tensor(Datatype::Fp32, &[3], &[1_f32; 3]), tensor(Datatype::Fp32, &[2], &[1_f32; 2]));
    let sum = infer(&url, "sum", &[("left", three.clone()), ("right", two)]);
    let beyond = infer(&url, "table", &[("index", tensor(Datatype::Int64, &[1], &[9_i64]))]);
    for (answer, named) in
        [(sum, "Add node 'plus': "), (beyond, "Gather node: indices element out of data bounds, idx=9")]
    {
        let error = answer.error();
        assert_eq!(answer.status, 400, "{error}");
        assert!(
            error.starts_with("the model cannot compute this request: ") && error.contains(named),
            "{error}"
        );
        assert!(
            !["onnxruntime", ".h:", ".cc:", "::", "\n", "Status"].iter().any(|code| error.contains(code)),
            "{error}"
        );
    }
    assert_eq!(infer(&url, "sum", &[("left", three.clone()), ("right", three)]).status, 200);
}

#[test]
fn a_warning_at_every_run_is_logged_once_with_the_model_s_name() {
    let server = ServerBuilder::new().model("repeats", "1", &long::repeats_otherwise_than_declared()).start();
    let inputs = [
        ("x", tensor(Datatype::Fp32, &[2], &[1_f32, 2.0])),
        ("times", tensor(Datatype::Int64, &[1], &[3_i64])),
    ];
    for _ in 0..20 {
        assert_eq!(infer(&server.url(), "repeats", &inputs).status, 200);
    }
    let about_the_shape =
        |line: &&String| line.contains("onnxruntime") && line.contains("does not match actual shape");
    let log = server.log();
    let lines: Vec<_> = log.iter().filter(about_the_shape).collect();
    assert!(lines.iter().all(|line| line.contains(r#""model":"repeats""#)), "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(post(&format!("{}/v2/models/repeats/infer", server.url()), &[], b"{").status, 400);
}
