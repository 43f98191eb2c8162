//! The protocol over gRPC.

use std::net::TcpListener;

use futures_util::{StreamExt, stream};
use oip::{
    Datatype,
    grpc::messages::{
        InferParameter, InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest,
        RepositoryIndexRequest, ServerLiveRequest, ServerMetadataRequest, ServerReadyRequest,
        infer_parameter::ParameterChoice, model_infer_request::InferInputTensor,
    },
};
use prost::Message;
use tonic::{Code, Request, codec::CompressionEncoding};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{Grpc, Server, ServerBuilder, get, models, post};

/// `x`, FP32 `[1, 2]`, as a list.
fn typed(values: [f32; 2]) -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: values.to_vec(), ..InferTensorContents::default() };
    let input = InferInputTensor {
        name: "x".into(),
        datatype: "FP32".into(),
        shape: vec![1, 2],
        contents: Some(contents),
        ..InferInputTensor::default()
    };
    ModelInferRequest { model_name: "m".into(), inputs: vec![input], ..ModelInferRequest::default() }
}

/// The same as bytes.
fn raw(values: [f32; 2]) -> ModelInferRequest {
    let mut request = typed(values);
    request.inputs[0].contents = None;
    request.raw_input_contents = vec![values.iter().flat_map(|value| value.to_le_bytes()).collect()];
    request
}

fn server() -> Server {
    ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("half", "1", &models::identity(Datatype::Fp16))
        .model("slow", "1", &models::slow())
        .start()
}

#[test]
fn both_ports_take_every_call() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .args(["--grpc-port", &free.to_string()])
        .start();
    for url in [server.url(), format!("http://127.0.0.1:{free}")] {
        let grpc = Grpc::connect(&url);
        let mut client = grpc.client.clone();
        let mut health = HealthClient::new(grpc.channel.clone());
        grpc.wait(async {
            assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
            assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
            let ready = ModelReadyRequest { name: "m".into(), version: "1".into() };
            assert!(client.model_ready(ready).await.unwrap().into_inner().ready);
            let server = client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner();
            assert_eq!(server.name, "decima");
            let metadata = ModelMetadataRequest { name: "m".into(), version: String::new() };
            let metadata = client.model_metadata(metadata).await.unwrap().into_inner();
            assert_eq!(
                (metadata.inputs[0].datatype.as_str(), &metadata.inputs[0].shape[..]),
                ("FP32", &[-1, 2][..])
            );
            let index =
                client.repository_index(RepositoryIndexRequest::default()).await.unwrap().into_inner();
            assert_eq!((index.models[0].name.as_str(), index.models[0].state.as_str()), ("m", "READY"));
            let answer = client.model_infer(raw([1.5, -2.0])).await.unwrap().into_inner();
            assert_eq!(answer.raw_output_contents[0], raw([1.5, -2.0]).raw_input_contents[0]);
            let health = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
            assert_eq!(health.status(), ServingStatus::Serving);
        });
    }
    assert_eq!(get(&format!("{}/v2/health/live", server.url())).status, 200, "REST beside gRPC");
}

#[test]
fn answers_take_the_form_of_their_requests() {
    let server = server();
    let grpc = Grpc::connect(&server.url());
    let mut client = grpc.client.clone();
    grpc.wait(async {
        let answer = client.model_infer(typed([0.5, 7.0])).await.unwrap().into_inner();
        assert!(answer.raw_output_contents.is_empty());
        assert_eq!(answer.outputs[0].contents.as_ref().unwrap().fp32_contents, [0.5, 7.0]);
        let mut request = raw([0.0, 0.0]);
        request.id = "an id".into();
        let answer = client.model_infer(request).await.unwrap().into_inner();
        assert!(answer.outputs.iter().all(|output| output.contents.is_none()));
        assert_eq!((answer.id.as_str(), answer.model_name.as_str()), ("an id", "m"));
        // a datatype without a list of its own
        let mut request = raw([0.0, 0.0]);
        request.model_name = "half".into();
        request.inputs[0].datatype = "FP16".into();
        request.raw_input_contents = vec![vec![0, 0x3c, 0, 0x40].into()];
        let answer = client.model_infer(request).await.unwrap().into_inner();
        assert_eq!(&answer.raw_output_contents[0][..], [0, 0x3c, 0, 0x40]);
    });
}

#[test]
fn faults_have_the_status_that_they_should() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("slow", "1", &models::slow())
        .args(["--max-body-size", "1MiB"])
        .start();
    let grpc = Grpc::connect(&server.url());
    let with = |change: fn(&mut ModelInferRequest)| {
        let mut request = raw([1.0, 2.0]);
        change(&mut request);
        request
    };
    let cases = [
        (with(|r| r.model_name = "none".into()), Code::NotFound, "unknown model 'none'"),
        (with(|r| r.model_version = "9".into()), Code::NotFound, "no version '9'"),
        (with(|r| r.inputs[0].shape = vec![1, 3]), Code::InvalidArgument, "takes 12 bytes, not 8"),
        (with(|r| r.inputs[0].shape = vec![-1, 2]), Code::InvalidArgument, "dimension -1"),
        (with(|r| r.inputs[0].datatype = "FP128".into()), Code::InvalidArgument, "unknown datatype 'FP128'"),
        (with(|r| r.inputs[0].name = "z".into()), Code::InvalidArgument, "unknown input 'z'"),
        (with(|r| r.raw_input_contents.push(vec![0; 8].into())), Code::InvalidArgument, "2 of 1 tensors"),
        (
            with(|r| r.inputs[0].contents = Some(InferTensorContents::default())),
            Code::InvalidArgument,
            "give one",
        ),
        (with(|r| r.inputs.clear()), Code::InvalidArgument, "1 of 0 tensors"),
        (
            with(|r| {
                r.raw_input_contents.clear();
                r.inputs[0].contents =
                    Some(InferTensorContents { int_contents: vec![1, 2], ..InferTensorContents::default() });
            }),
            Code::InvalidArgument,
            "'fp32_contents'",
        ),
        (with(|r| r.raw_input_contents[0] = vec![0; 2 << 20].into()), Code::ResourceExhausted, "1048576"),
    ];
    for (request, code, text) in cases {
        let status = grpc.wait(async { grpc.client.clone().model_infer(request).await }).unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    }
    let slow = with(|r| {
        r.model_name = "slow".into();
        r.inputs[0].shape = vec![2, 1, 1];
    });
    // by hand, since tonic's client would stop waiting by itself
    let late = call(&server, "/inference.GRPCInferenceService/ModelInfer", &slow.encode_to_vec(), "1m");
    assert_eq!(late, (200, "4".into()), "DEADLINE_EXCEEDED");
    let unreadable = call(&server, "/inference.GRPCInferenceService/ModelInfer", b"\x07", "9S");
    assert_eq!(unreadable, (200, "3".into()), "a message that is none");
    assert_eq!(call(&server, "/inference.GRPCInferenceService/Nothing", b"", "9S").1, "12");
    assert_eq!(call(&server, "/inference.Nothing/Nothing", b"", "9S").1, "12");
    let answer = post(&format!("{}/inference.GRPCInferenceService/TraceSetting", server.url()), &[], &[0; 5]);
    assert_eq!(answer.headers["grpc-message"], "this service does not have the call");
}

/// HTTP status and gRPC status of a call by hand.
fn call(server: &Server, path: &str, message: &[u8], timeout: &str) -> (u16, String) {
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let answer = post(
        &format!("{}{path}", server.url()),
        &[("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", timeout)],
        &body,
    );
    (answer.status, answer.headers["grpc-status"].to_str().unwrap().to_owned())
}

#[test]
fn a_stream_answers_in_order_and_survives_a_fault() {
    let server = server();
    let grpc = Grpc::connect(&server.url());
    let mut client = grpc.client.clone();
    let mut requests: Vec<_> = (0..100_u8).map(|n| raw([f32::from(n), 0.0])).collect();
    for (index, request) in requests.iter_mut().enumerate() {
        request.id = index.to_string();
    }
    requests[40].inputs[0].shape = vec![1, 3];
    let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    requests[99].parameters.insert("triton_enable_empty_final_response".into(), last.clone());
    let answers: Vec<_> = grpc.wait(async {
        let answers = client.model_stream_infer(stream::iter(requests)).await.unwrap().into_inner();
        answers.map(Result::unwrap).collect().await
    });
    assert_eq!(answers.len(), 100);
    for (index, answer) in answers.iter().enumerate() {
        let response = answer.infer_response.as_ref().unwrap();
        assert_eq!(response.id, index.to_string());
        assert_eq!(answer.error_message.is_empty(), index != 40, "{}", answer.error_message);
        if index != 40 {
            assert_eq!(response.raw_output_contents[0][..4], (index as f32).to_le_bytes());
        }
    }
    assert!(answers[40].error_message.contains("takes 12 bytes"), "{}", answers[40].error_message);
    let marks = answers[99].infer_response.as_ref().unwrap().parameters.get("triton_final_response");
    assert_eq!(marks, Some(&last));
    let mut request = Request::new(stream::iter([typed([1.0, 1.0]), ModelInferRequest::default()]));
    request.metadata_mut().insert("triton_grpc_error", "true".parse().unwrap());
    let answers: Vec<_> =
        grpc.wait(async { client.model_stream_infer(request).await.unwrap().into_inner().collect().await });
    assert!(answers[0].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().code(), Code::NotFound);
}

#[test]
fn answers_are_compressed_where_requests_are() {
    let server = server();
    let grpc = Grpc::connect(&server.url());
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        let mut client = grpc.client.clone().send_compressed(encoding).accept_compressed(encoding);
        let answer = grpc.wait(async { client.model_infer(raw([3.0, 4.0])).await }).unwrap();
        assert!(answer.metadata().contains_key("grpc-encoding"), "{:?}", answer.metadata());
        assert_eq!(answer.into_inner().raw_output_contents[0], raw([3.0, 4.0]).raw_input_contents[0]);
    }
    let bomb = raw([0.0, 0.0]);
    let bomb = ModelInferRequest { raw_input_contents: vec![vec![0; 80 << 20].into()], ..bomb };
    let mut client = grpc.client.clone().send_compressed(CompressionEncoding::Gzip);
    let status = grpc.wait(async { client.model_infer(bomb).await }).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[test]
fn health_and_streams_end_when_the_server_stops() {
    let mut server = server();
    let grpc = Grpc::connect(&server.url());
    let mut health = HealthClient::new(grpc.channel.clone());
    let unknown = HealthCheckRequest { service: "no.such.Service".into() };
    let status = grpc.wait(async { health.check(unknown.clone()).await }).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let named = HealthCheckRequest { service: "inference.GRPCInferenceService".into() };
    grpc.wait(async {
        let mut never = health.watch(unknown).await.unwrap().into_inner();
        assert_eq!(never.next().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
        let mut watched = health.watch(named).await.unwrap().into_inner();
        assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
        let open = stream::iter([raw([1.0, 2.0])]).chain(stream::pending());
        let mut answers = grpc.client.clone().model_stream_infer(open).await.unwrap().into_inner();
        assert!(answers.next().await.unwrap().is_ok());
        server.terminate();
        assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(watched.next().await.is_none());
        assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    });
    drop(grpc);
    assert_eq!(server.wait().code(), Some(0));
}
