//! The real server as a process.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
};

use decima_server::platform::{environment::Environment, ort_library};
use oip::grpc::{client::GrpcInferenceServiceClient, messages::ModelReadyRequest};
use serde_json::Value;
use tonic::transport::Endpoint;

/// A server that is ready; it ends with its value.
pub(crate) struct Program {
    child: Child,
    /// Kept open, so that the server can go on logging.
    _log: BufReader<ChildStderr>,
    /// What it said until it was ready, in order.
    pub(crate) messages: Vec<String>,
    address: String,
    agent: ureq::Agent,
}

impl Program {
    /// Starts the server with these arguments and this environment alone, on a free loopback port, and
    /// waits until it says that it is ready.
    pub(crate) fn start(args: &[String], environment: &BTreeMap<String, String>) -> Self {
        let library = ort_library::find(&Environment::of_process()).unwrap_or_else(|error| panic!("{error}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_decima-server"))
            .args(args)
            .env_clear()
            .envs(environment)
            .env("ORT_DYLIB_PATH", library)
            .envs([("DECIMA_HOST", "127.0.0.1"), ("DECIMA_HTTP_PORT", "0"), ("DECIMA_GRPC_PORT", "0")])
            .env("DECIMA_LOG_FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut messages, mut address) = (Vec::new(), None);
        while messages.last().is_none_or(|message| message != "ready") {
            let mut line = String::new();
            let bytes = log.read_line(&mut line).unwrap();
            assert!(bytes > 0, "the server ended before it was ready: {:?}: {messages:#?}", child.wait());
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let message = event["message"].as_str().unwrap().to_owned();
            if message == "listening" {
                address = event["address"].as_str().map(str::to_owned);
            }
            messages.push(message);
        }
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { child, _log: log, messages, address: address.unwrap(), agent }
    }

    /// Whether a model is ready, asked over gRPC.
    pub(crate) fn is_ready_over_grpc(&self, model: &str) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await;
            let request = ModelReadyRequest { name: model.to_owned(), version: String::new() };
            let mut client = GrpcInferenceServiceClient::new(channel.unwrap());
            client.model_ready(request).await.unwrap().into_inner().ready
        })
    }

    /// Status and body of a `GET`.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("http://{}{path}", self.address)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// Status and body of a `POST`.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let mut response = self.agent.post(format!("http://{}{path}", self.address)).send(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; the test has then failed already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
