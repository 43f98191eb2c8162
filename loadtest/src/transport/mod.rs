//! Transports, which send a request to a server and receive its response. The rest of the program is generic over them.

mod grpc;
mod http;
mod url;

use std::{error::Error, future::Future};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use oip::InferResponse;
use tokio::net::TcpStream;

pub use self::{grpc::Grpc, http::Http, url::ServerUrl};
use crate::{
    failure::{Failure, FailureKind},
    inputs::Payload,
    metadata::{ModelMetadata, ServerMetadata},
};

/// Largest response that is read, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 << 20;

/// Protocol and encoding of tensors, for requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wire {
    /// REST with tensors as JSON numbers
    Json,
    /// REST with tensors as little-endian bytes after the JSON (the binary tensor data extension)
    Binary,
    /// gRPC with tensors as raw contents
    Grpc,
}

/// A successful response, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole body.
    pub body: Bytes,
    /// Length of the JSON in bytes, if binary tensors follow it.
    pub json_length: Option<usize>,
}

/// A transport to one model on one server.
pub trait Transport: Clone + Send + Sync + 'static {
    /// An encoded request. It can be sent many times.
    type Request: Send + Sync + 'static;
    /// A connection that carries one request at a time.
    type Connection: Send;

    /// Reads the metadata of the server and of the model.
    ///
    /// # Errors
    /// The server cannot be reached, does not have the model, or its response is not valid.
    fn describe(&self) -> impl Future<Output = Result<(ServerMetadata, ModelMetadata)>> + Send;

    /// Encodes a request.
    ///
    /// # Errors
    /// The transport cannot represent the request.
    fn prepare(&self, payload: &Payload) -> Result<Self::Request>;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Waits until the connection is ready for a request. Returns `false` if it is closed.
    fn is_open(connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;

    /// Sends a request and reads the whole response. After a failure without a response (see
    /// [`FailureKind::is_answer`]), the connection cannot be used again.
    fn send(
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Does the same as [`Self::send`], on a new connection if the server has closed this one.
    fn exchange(
        &self,
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        async move {
            // A server may close a connection that is idle or had an error. That is not a failure of this request.
            if !Self::is_open(connection).await {
                *connection = self.connect().await?;
            }
            Self::send(connection, request).await
        }
    }

    /// Decodes a response. The error is one line that says what is malformed.
    ///
    /// # Errors
    /// The response violates the protocol.
    fn decode(&self, answer: &Answer) -> Result<InferResponse, String>;
}

/// Connects to the server, with `TCP_NODELAY` set so that small writes are sent at once.
async fn open_stream(server: &ServerUrl) -> Result<TokioIo<TcpStream>, Failure> {
    let stream = TcpStream::connect(&server.authority).await.map_err(|error| refused(server, &error))?;
    stream.set_nodelay(true).map_err(|error| refused(server, &error))?;
    Ok(TokioIo::new(stream))
}

fn refused(server: &ServerUrl, error: &dyn Error) -> Failure {
    Failure::new(FailureKind::Connect, format!("{}: {}", server.authority, chain(error)))
}

fn broken(error: &dyn Error) -> Failure {
    Failure::new(FailureKind::Disconnected, chain(error))
}

/// Reads the body of a response to its end, trailers included.
async fn read(body: Incoming) -> Result<Collected<Bytes>, Failure> {
    Limited::new(body, MAX_RESPONSE_BYTES).collect().await.map_err(|error| broken(&*error))
}

/// An error and its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
