//! Tests the load tester with the real server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test can do nothing about errors but stop")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

/// A server on a free loopback port, with a model for each operator. It stops when this value is dropped.
struct Server {
    child: Child,
    /// Kept open, because the server writes its log to it.
    _log: BufReader<ChildStderr>,
    address: String,
    folder: TempDir,
}

impl Server {
    /// Starts a server with a model for each operator, named after it. Its input `x` and output `y` are FP32 `[-1, 4]`.
    fn start(operators: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        for operator in operators {
            let version = folder.path().join("models").join(operator).join("1");
            fs::create_dir_all(&version).unwrap();
            fs::write(version.join("model.onnx"), model(operator)).unwrap();
        }
        let mut child = Command::new(server_program())
            .args(["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0"])
            .args(["--log-format", "json", "--model-repository"])
            .arg(folder.path().join("models"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        let address = loop {
            let start = lines.len();
            assert!(log.read_line(&mut lines).unwrap() > 0, "the server ended before it was ready:\n{lines}");
            let event: Value = serde_json::from_str(&lines[start..]).unwrap();
            if event["message"] == "ready" {
                break event["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
            }
        };
        Self { child, _log: log, address, folder }
    }

    /// A command for a load test, which is not started yet. Its report is in [`Server::report`].
    fn load_test(&self, model: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_decima-loadtest"));
        command.args(["--url", &format!("http://{}", self.address), "--model", model, "--json"]);
        command.arg(self.report_path()).args(flags);
        command
    }

    fn report_path(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }

    /// The report of the last load test, checked against its schema.
    fn report(&self) -> Value {
        let report = serde_json::from_str(&fs::read_to_string(self.report_path()).unwrap()).unwrap();
        let schema = serde_json::from_str(include_str!("../report.schema.json")).unwrap();
        jsonschema::validate(&schema, &report).unwrap_or_else(|error| panic!("{error}: {report:#}"));
        report
    }

    /// Runs a load test that must succeed, and returns its report.
    fn succeed(&self, model: &str, flags: &[&str]) -> Value {
        let output = self.load_test(model, flags).output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        let report = self.report();
        assert_eq!(
            (&report["requests"]["wrong"], &report["requests"]["failed"]),
            (&0.into(), &0.into()),
            "{report:#}"
        );
        report
    }

    /// The number of requests to a model that the server answered with 200, from its metrics.
    fn answered(&self, model: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).unwrap();
        let series = format!(r#"decima_request_duration_seconds_count{{code="200",model="{model}""#);
        let counts = metrics.lines().filter(|line| line.starts_with(&series));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Path of the server, which must be built in the same profile.
fn server_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("decima-server");
    assert!(program.is_file(), "{} is missing: cargo build -p decima-server", program.display());
    program
}

/// An ONNX model with one operator.
fn model(operator: &str) -> Vec<u8> {
    let shape = [bytes(1, &bytes(2, b"rows")), bytes(1, &number(1, 4))].concat();
    let tensor = bytes(1, &[number(1, 1), bytes(2, &shape)].concat());
    let value = |name: &[u8]| [bytes(1, name), bytes(2, &tensor)].concat();
    let node = [bytes(1, b"x"), bytes(2, b"y"), bytes(4, operator.as_bytes())].concat();
    let graph = [bytes(1, &node), bytes(2, b"g"), bytes(11, &value(b"x")), bytes(12, &value(b"y"))].concat();
    [number(1, 8), bytes(7, &graph), bytes(8, &number(2, 17))].concat()
}

/// A length-delimited field of protocol buffers.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|&length| length < 128).unwrap();
    [&[field << 3 | 2, length], content].concat()
}

/// An integer field of protocol buffers.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_correct_server_is_measured_over_each_wire() {
    let server = Server::start(&["Abs"]);
    for wire in ["json", "binary", "grpc"] {
        let flags =
            ["--wire", wire, "--requests", "300", "--rows", "3", "--warmup", "100ms", "--threads", "2"];
        let report = server.succeed("Abs", &flags);
        assert_eq!(report["requests"]["succeeded"], 300);
        assert_eq!((&report["load"]["wire"], &report["load"]["loop"]), (&wire.into(), &"closed".into()));
        let throughput = &report["throughput"];
        let rows = throughput["rows_per_second"].as_f64().unwrap();
        assert!((rows / throughput["requests_per_second"].as_f64().unwrap() - 3.0).abs() < 1e-9);
        assert_eq!(report["target"]["model"], "Abs");
    }
}

#[test]
fn a_model_with_open_sizes_is_sent_the_shape_that_is_given() {
    let server = Server::start(&["Abs"]);
    let report = server.succeed("Abs", &["--shape", "x:5,4", "--requests", "50", "--warmup", "0"]);
    assert_eq!(report["load"]["rows_per_request"], 5);
    let output = server.load_test("Abs", &["--shape", "x:5,3", "--requests", "1"]).output().unwrap();
    let complaint = "--shape x: [5, 3] does not fit the model's [-1, 4]";
    assert!(!output.status.success() && shown(&output).contains(complaint), "{}", shown(&output));
}

#[test]
fn an_open_loop_sends_the_exact_number_of_requests() {
    let server = Server::start(&["Abs"]);
    let report = server.succeed("Abs", &["--rate", "400", "--duration", "1s", "--warmup", "200ms"]);
    assert_eq!(report["requests"]["succeeded"], 400);
    assert_eq!(report["load"]["loop"], "open");
    let (latency, delay) = (&report["latency_seconds"], &report["send_delay_seconds"]);
    assert!(delay["mean"].as_f64().unwrap() <= latency["mean"].as_f64().unwrap(), "{report:#}");
}

#[test]
fn a_request_from_a_file_is_sent() {
    let server = Server::start(&["Abs"]);
    let path = server.folder.path().join("request.json");
    let request = r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 4], "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}],
                      "outputs": [{"name": "y"}]}"#;
    fs::write(&path, request).unwrap();
    for wire in ["json", "binary", "grpc"] {
        let flags = ["--body", path.to_str().unwrap(), "--wire", wire, "--requests", "20", "--warmup", "0"];
        let report = server.succeed("Abs", &flags);
        assert_eq!(
            (&report["load"]["rows_per_request"], &report["load"]["distinct_requests"]),
            (&2.into(), &1.into())
        );
    }
}

#[test]
fn wrong_answers_are_found_and_fail_the_run() {
    // The first operator gives another result each time; the second one gives the logarithm of 0.
    let server = Server::start(&["RandomUniformLike", "Log"]);
    for (model, complaint) in
        [("RandomUniformLike", "in the first answer"), ("Log", "is not finite at element")]
    {
        for wire in ["json", "binary", "grpc"] {
            let output = server.load_test(model, &["--requests", "50", "--wire", wire]).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
            let report = server.report();
            assert!(report["requests"]["wrong"].as_u64().unwrap() >= 40, "{report:#}");
            assert_eq!(report["errors"][0]["kind"], "wrong answer");
            let message = report["errors"][0]["first_message"].as_str().unwrap();
            assert!(message.starts_with("output 'y'") && message.contains(complaint), "{message}");
            assert!(shown(&output).contains(message), "{}", shown(&output));
        }
    }
}

#[test]
fn refused_requests_are_counted() {
    let server = Server::start(&["Abs"]);
    let path = server.folder.path().join("request.json");
    let request = r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}"#;
    fs::write(&path, request).unwrap();
    for (wire, kind) in [("json", "http 400"), ("grpc", "grpc InvalidArgument")] {
        let flags = ["--body", path.to_str().unwrap(), "--wire", wire, "--requests", "10"];
        let output = server.load_test("Abs", &flags).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "nothing succeeded: {}", shown(&output));
        let error = &server.report()["errors"][0];
        assert_eq!((&error["kind"], &error["count"]), (&kind.into(), &10.into()), "{error}");
        assert!(error["first_message"].as_str().unwrap().contains("'x'"), "{error}");
    }
}

#[test]
fn ctrl_c_reports_what_was_measured() {
    let server = Server::start(&["Abs"]);
    let mut command = server.load_test("Abs", &["--duration", "60s", "--warmup", "0"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while server.answered("Abs") < 20 {} // one request is sent before the load
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    let report = server.report();
    assert_eq!(report["interrupted"], true);
    assert!(report["requests"]["succeeded"].as_u64().unwrap() > 0, "{report:#}");
    assert!(shown(&output).contains("interrupted"), "{}", shown(&output));
}

#[test]
fn a_missing_model_or_server_is_named() {
    let server = Server::start(&["Abs"]);
    for (wire, kind) in [("json", "http 404"), ("grpc", "grpc NotFound")] {
        let output = server.load_test("Exp", &["--wire", wire]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = shown(&output);
        assert!(text.contains("model 'Exp'") && text.contains(kind), "{text}");
    }
    let (url, flags) = (format!("http://{}", server.address), ["--requests", "1", "--url"]);
    drop(server);
    let output = Command::new(env!("CARGO_BIN_EXE_decima-loadtest")).args(flags).arg(&url).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains(&format!("{url} does not describe model")), "{}", shown(&output));
}

#[test]
fn a_port_without_grpc_is_explained() {
    // A server that sends an HTTP/1.1 response to any bytes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _read = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let (url, flags) = (format!("http://{address}"), ["--requests", "1", "--wire", "grpc", "--url"]);
    let output = Command::new(env!("CARGO_BIN_EXE_decima-loadtest")).args(flags).arg(&url).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains(&format!("{address} may not speak gRPC")), "{}", shown(&output));
}
