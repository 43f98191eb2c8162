//! gRPC over HTTP/2 without TLS. Each connection has one call at a time; tensors are raw contents.
//!
//! A message is encoded once and sent many times, and a response with known bytes is not decoded again. A generated
//! client cannot do that, so this module writes the frames itself.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;
use oip::{
    InferResponse,
    grpc::{
        self, TensorForm,
        frame::{PREFIX_BYTES, Prefix, framed},
        messages::{
            ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ServerMetadataRequest,
            ServerMetadataResponse, model_metadata_response,
        },
    },
};
use prost::Message;
use tonic::{Code, Status};

use super::{Answer, ServerUrl, Transport, broken, open_stream, read, refused};
use crate::{
    failure::{Failure, FailureKind},
    inputs::Payload,
    metadata::{ModelMetadata, ServerMetadata, TensorMetadata},
};

/// A model on a server.
#[derive(Clone, Debug)]
pub struct Grpc {
    server: ServerUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    model: String,
    /// Empty if the server chooses the version.
    version: String,
}

impl Grpc {
    /// A transport for one model. `None` as version lets the server choose. `headers` are sent with every call.
    pub fn new(
        server: ServerUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        model: &str,
        version: Option<&str>,
    ) -> Self {
        let (model, version) = (model.to_owned(), version.unwrap_or_default().to_owned());
        Self { server, headers, model, version }
    }

    /// A call of the method `name`.
    fn call(&self, name: &str, message: &impl Message) -> Result<Request<Full<Bytes>>> {
        let body = framed(message, None).context("a gRPC message has at most 4 GiB")?;
        let ServerUrl { authority, base_path, .. } = &self.server;
        let path = format!("{base_path}/inference.GRPCInferenceService/{name}");
        let uri = Uri::builder().scheme("http").authority(authority.as_str()).path_and_query(path).build()?;
        let mut request = Request::post(uri).body(Full::new(body))?;
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().cloned());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }

    /// Calls a method once, on a new connection.
    async fn ask<A: Message + Default>(&self, name: &str, message: &impl Message) -> Result<A> {
        let request = self.call(name, message)?;
        let explained = |failure: Failure| match failure.kind {
            FailureKind::Disconnected => anyhow::Error::new(failure).context(format!(
                "{} may not speak gRPC: many servers have another port for it",
                self.server.authority
            )),
            _ => failure.into(),
        };
        let answer = send(&mut self.connect().await?, request).await.map_err(explained)?;
        A::decode(answer.body).with_context(|| format!("the server's answer to {name} is malformed"))
    }
}

impl Transport for Grpc {
    type Request = Request<Full<Bytes>>;
    type Connection = SendRequest<Full<Bytes>>;

    async fn describe(&self) -> Result<(ServerMetadata, ModelMetadata)> {
        let server: ServerMetadataResponse = self.ask("ServerMetadata", &ServerMetadataRequest {}).await?;
        let (name, version) = (self.model.clone(), self.version.clone());
        let model: ModelMetadataResponse =
            self.ask("ModelMetadata", &ModelMetadataRequest { name, version }).await?;
        let tensors = |tensors: Vec<model_metadata_response::TensorMetadata>| {
            let tensor = |tensor: model_metadata_response::TensorMetadata| TensorMetadata {
                name: tensor.name,
                datatype: tensor.datatype,
                shape: tensor.shape,
            };
            tensors.into_iter().map(tensor).collect()
        };
        Ok((
            ServerMetadata { name: server.name, version: server.version },
            ModelMetadata {
                name: model.name,
                inputs: tensors(model.inputs),
                outputs: tensors(model.outputs),
            },
        ))
    }

    fn prepare(&self, payload: &Payload) -> Result<Self::Request> {
        let message = grpc::encode_request(&payload.request, &self.model, &self.version, TensorForm::Raw);
        self.call("ModelInfer", &message)
    }

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let stream = open_stream(&self.server).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(|error| refused(&self.server, &error))?;
        // The task ends when the sender is dropped. Errors of the connection appear in `exchange`.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn is_open(connection: &mut Self::Connection) -> bool {
        connection.ready().await.is_ok()
    }

    async fn send(connection: &mut Self::Connection, request: &Self::Request) -> Result<Answer, Failure> {
        send(connection, request.clone()).await
    }

    fn decode(&self, answer: &Answer) -> Result<InferResponse, String> {
        let message = ModelInferResponse::decode(answer.body.clone()).map_err(|error| error.to_string())?;
        grpc::decode_response(message).map_err(|error| error.to_string())
    }
}

async fn send(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let response = connection.send_request(request).await.map_err(|error| broken(&error))?;
    let (parts, body) = response.into_parts();
    let body = read(body).await?;
    if parts.status != StatusCode::OK {
        let text = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
        return Err(Failure::new(FailureKind::Status(parts.status.as_u16()), text));
    }
    // A response without a message has its status in the headers.
    let status =
        body.trailers().and_then(Status::from_header_map).or_else(|| Status::from_header_map(&parts.headers));
    match status {
        Some(status) if status.code() == Code::Ok => message(body.to_bytes()),
        Some(status) => Err(Failure::new(FailureKind::Grpc(status.code().into()), status.message())),
        None => Err(Failure::new(FailureKind::Disconnected, "the answer ended without a gRPC status")),
    }
}

/// Reads the only message of a body.
fn message(mut body: Bytes) -> Result<Answer, Failure> {
    let wrong = |what: &str| Failure::new(FailureKind::Wrong, what);
    let Some(prefix) = body.first_chunk() else { return Err(wrong("the call succeeded without a message")) };
    let prefix = Prefix::read(*prefix);
    let body = body.split_off(PREFIX_BYTES);
    match prefix {
        Some(Prefix { is_compressed: false, length }) if length == body.len() => {
            Ok(Answer { body, json_length: None })
        }
        Some(Prefix { is_compressed: false, .. }) => {
            Err(wrong("the answer is not one message of the length in its prefix"))
        }
        _ => Err(wrong("the answer is compressed, although the request does not allow that")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_must_be_one_message() {
        let read = |body: &'static [u8]| message(Bytes::from_static(body)).map_err(|failure| failure.message);
        assert_eq!(read(b"\0\0\0\0\x02ab").unwrap().body, "ab");
        assert_eq!(read(b"\0\0\0\0\0").unwrap().body, "");
        for (body, complaint) in [
            (&b""[..], "without a message"),
            (b"\x01\0\0\0\x02ab", "compressed"),
            (b"\0\0\0\0\x03ab", "not one message"),
            (b"\0\0\0\0\x01ab", "not one message"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
