//! Traces as a collector receives them.

use futures_util::{StreamExt, stream};
use oip::{
    Datatype,
    grpc::messages::{ModelInferRequest, model_infer_request::InferInputTensor},
};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::Value;
use tonic::{Code, Request};

use crate::support::{Collector, Grpc, Received, Server, ServerBuilder, eventually, get, long, models, post};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn server() -> ServerBuilder {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).model(
        "zeros",
        "1",
        &long::zeros(),
    )
}

fn exporting(collector: &Collector) -> ServerBuilder {
    server().envs([("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())])
}

/// A request for inference that succeeds, with these headers.
fn infer(server: &Server, headers: &[(&str, &str)]) {
    let body = br#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
    assert_eq!(post(&format!("{}/v2/models/m/infer", server.url()), headers, body).status, 200);
}

/// Stops the server, which sends what is left.
fn stop(mut server: Server) -> Vec<String> {
    server.terminate();
    assert!(server.wait().success(), "{}", server.log().join("\n"));
    server.log()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn requests(collector: &Collector) -> Vec<Received> {
    let mut spans = collector.received();
    spans.retain(|received| received.span.kind() == SpanKind::Server);
    spans
}

#[test]
fn a_request_is_a_child_of_its_caller_s_span_and_parent_of_its_phases() {
    let collector = Collector::start();
    let server = exporting(&collector).start();
    let parent = format!("00-{TRACE}-{SPAN}-01");
    infer(
        &server,
        &[
            ("traceparent", &parent),
            ("tracestate", "vendor=value"),
            ("x-request-id", "r-7"),
            ("user-agent", "me"),
        ],
    );
    stop(server);

    let [request] = &requests(&collector)[..] else { panic!("one expected: {:?}", collector.received()) };
    let span = &request.span;
    assert_eq!(span.name, "POST /v2/models/{model}/infer");
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(span.trace_state, "vendor=value");
    assert_eq!(span.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v2/models/{model}/infer"),
        ("http.response.status_code", "200"),
        ("url.path", "/v2/models/m/infer"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "me"),
        ("decima.model.name", "m"),
        ("decima.model.version", "1"),
        ("decima.request_id", "r-7"),
    ] {
        assert_eq!(request.attribute(key).as_deref(), Some(value), "{key}: {span:?}");
    }
    assert_eq!(request.service["service.name"], "decima-server");
    assert_eq!(request.service["service.version"], env!("CARGO_PKG_VERSION"));

    let phases: Vec<_> = collector.received().into_iter().map(|received| received.span).collect();
    let mut phases: Vec<_> = phases.iter().filter(|phase| phase.parent_span_id == span.span_id).collect();
    phases.sort_by_key(|phase| phase.start_time_unix_nano);
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["preprocess", "predict", "postprocess"]);
    assert!(phases.iter().all(|phase| phase.trace_id == span.trace_id));
}

#[test]
fn errors_of_the_server_are_marked_and_those_of_clients_are_not() {
    let collector = Collector::start();
    let server = exporting(&collector).envs([("OTEL_SERVICE_NAME", "mine")]).start();
    let url = server.url();
    let too_many = br#"{"inputs":[{"name":"n","shape":[1],"datatype":"INT64","data":[1000000000000000]}]}"#;
    let traced = [("traceparent", &*format!("00-{TRACE}-{SPAN}-01"))];
    assert_eq!(post(&format!("{url}/v2/models/zeros/infer"), &traced, too_many).status, 500);
    assert_eq!(post(&format!("{url}/v2/models/m/infer"), &[], b"{").status, 400);
    assert_eq!(get(&format!("{url}/wherever")).status, 404);
    let log = stop(server);

    let spans = requests(&collector);
    let of = |status: &str| {
        let mut spans = spans
            .iter()
            .filter(|span| span.attribute("http.response.status_code").as_deref() == Some(status));
        spans.next().unwrap_or_else(|| panic!("no span of a {status}: {spans:?}"))
    };
    let failed = of("500");
    let status = failed.span.status.clone().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert!(!status.message.is_empty());
    assert_eq!(failed.attribute("error.type").as_deref(), Some("internal"));
    for status in ["400", "404"] {
        assert_eq!(of(status).span.status.clone().unwrap_or_default().code(), StatusCode::Unset, "{status}");
    }
    assert_eq!(of("404").span.name, "GET");
    assert_eq!(failed.service["service.name"], "mine");

    let line = log.iter().find(|line| line.contains("request failed")).expect("the failure is logged");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"]["trace_id"], TRACE);
}

/// A request with an input for the model `m`, to a model that there is not.
fn vector() -> ModelInferRequest {
    let input = InferInputTensor {
        name: "x".into(),
        datatype: "FP32".into(),
        shape: vec![1, 2],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: "none".into(),
        inputs: vec![input],
        raw_input_contents: vec![[1.0_f32, 2.0].map(f32::to_le_bytes).concat().into()],
        ..ModelInferRequest::default()
    }
}

#[test]
fn a_grpc_call_is_a_child_of_its_caller_s_span() {
    let collector = Collector::start();
    let server = exporting(&collector).start();
    let grpc = Grpc::connect(&server.url());
    let call = ModelInferRequest { model_name: "m".into(), ..vector() };
    let mut request = Request::new(call);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
    let mut client = grpc.client.clone();
    grpc.wait(client.model_infer(request)).unwrap();
    assert_eq!(grpc.wait(grpc.client.clone().model_infer(vector())).unwrap_err().code(), Code::NotFound);
    drop(grpc);
    stop(server);

    let spans = requests(&collector);
    let [answered, refused] = &spans[..] else { panic!("two expected: {spans:?}") };
    for span in [answered, refused] {
        assert_eq!(span.span.name, "inference.GRPCInferenceService/ModelInfer");
        assert_eq!(span.attribute("rpc.system").as_deref(), Some("grpc"));
        assert_eq!(span.attribute("rpc.service").as_deref(), Some("inference.GRPCInferenceService"));
        assert_eq!(span.attribute("rpc.method").as_deref(), Some("ModelInfer"));
        assert_eq!(span.span.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    }
    assert_eq!(hex(&answered.span.parent_span_id), SPAN);
    assert_eq!(answered.attribute("rpc.grpc.status_code").as_deref(), Some("0"));
    assert_eq!(answered.attribute("decima.model.name").as_deref(), Some("m"));
    assert_eq!(refused.attribute("rpc.grpc.status_code").as_deref(), Some("5"));
}

#[test]
fn a_stream_is_one_span_until_its_status() {
    let collector = Collector::start();
    let server = exporting(&collector).envs([("OTEL_BSP_SCHEDULE_DELAY", "10")]).start();
    let grpc = Grpc::connect(&server.url());
    let two = || stream::iter([ModelInferRequest { model_name: "m".into(), ..vector() }, vector()]);
    let mut whole = Request::new(two());
    whole.metadata_mut().insert("triton_grpc_error", "true".parse().unwrap());
    let answers = |requests: Request<_>| async {
        let answers = grpc.client.clone().model_stream_infer(requests).await.unwrap().into_inner();
        answers.map(|answer| answer.map_err(|status| status.code()).map(|_| ())).collect::<Vec<_>>().await
    };
    assert_eq!(grpc.wait(answers(Request::new(two()))), [Ok(()), Ok(())]);
    assert_eq!(grpc.wait(answers(whole)), [Ok(()), Err(Code::NotFound)]);
    // And one that the client gives up after its first answer.
    let endless = two().chain(stream::pending());
    grpc.wait(async {
        let mut answers = grpc.client.clone().model_stream_infer(endless).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap();
    });
    drop(grpc);
    eventually(|| requests(&collector).len() == 3); // a drain would end a stream that is not known to be given up
    stop(server);

    let spans = requests(&collector);
    let statuses: Vec<_> = spans.iter().map(|span| span.attribute("rpc.grpc.status_code").unwrap()).collect();
    assert_eq!(statuses, ["0", "5", "1"]);
    for call in &spans {
        assert_eq!(call.attribute("rpc.method").as_deref(), Some("ModelStreamInfer"));
        assert_eq!(call.attribute("decima.model.name").as_deref(), Some("m"));
        let received = collector.received();
        let is_inside = |phase: &&Received| phase.span.parent_span_id == call.span.span_id;
        let mut phases: Vec<_> = received.iter().filter(is_inside).map(|phase| &*phase.span.name).collect();
        phases.sort_unstable();
        assert_eq!(phases, ["postprocess", "predict", "preprocess"], "of the one that was answered");
        let ends = received.iter().filter(is_inside).map(|phase| phase.span.end_time_unix_nano);
        assert!(ends.max() <= Some(call.span.end_time_unix_nano));
    }
}

#[test]
fn probes_and_what_the_caller_left_out_are_not_traced_and_a_malformed_parent_is_none() {
    let collector = Collector::start();
    let server = exporting(&collector).start();
    let url = server.url();
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/metrics"] {
        assert_eq!(get(&format!("{url}{path}")).status, 200, "{path}");
    }
    infer(&server, &[("traceparent", &format!("00-{TRACE}-{SPAN}-00"))]);
    infer(&server, &[("traceparent", &format!("00-{TRACE}-nonsense-01"))]);
    stop(server);
    let [request] = &requests(&collector)[..] else { panic!("one expected: {:?}", collector.received()) };
    assert!(request.span.parent_span_id.is_empty(), "{request:?}");
    assert_ne!(hex(&request.span.trace_id), TRACE);
}

#[test]
fn the_sampler_of_the_environment_is_used() {
    let collector = Collector::start();
    let server = exporting(&collector).envs([("OTEL_TRACES_SAMPLER", "always_off")]).start();
    infer(&server, &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    stop(server);
    assert!(collector.received().is_empty());
}

#[test]
fn a_collector_that_is_not_there_costs_one_line() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = server()
        .envs([("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"))])
        .envs([("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "100")])
        .start();
    infer(&server, &[]);
    server.wait_for("traces cannot be exported");
    infer(&server, &[]);
    let log = stop(server);
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("\"WARN\"")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn without_a_collector_the_caller_s_trace_is_in_the_log_all_the_same() {
    let server = server().start();
    let too_many = br#"{"inputs":[{"name":"n","shape":[1],"datatype":"INT64","data":[1000000000000000]}]}"#;
    let traced = [("traceparent", &*format!("00-{TRACE}-{SPAN}-01"))];
    assert_eq!(post(&format!("{}/v2/models/zeros/infer", server.url()), &traced, too_many).status, 500);
    assert_eq!(server.wait_for("request failed")["span"]["trace_id"], TRACE);
}

#[test]
fn a_protocol_that_is_not_supported_is_said_and_nothing_is_exported() {
    let collector = Collector::start();
    let server = exporting(&collector).envs([("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).start();
    let warning = server.wait_for("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf is not supported");
    assert_eq!(warning["level"], "WARN");
    infer(&server, &[]);
    stop(server);
    assert!(collector.received().is_empty());
}
