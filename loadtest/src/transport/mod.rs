//! Ways to carry a request to a server and its answer back; the work loop is generic over them.

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

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 256 << 20;

/// How tensors travel, in a request and in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wire {
    /// REST, numbers as JSON.
    Json,
    /// REST, little-endian bytes after the JSON (the binary tensor extension).
    Binary,
    /// gRPC, tensors as raw contents.
    Grpc,
}

/// An answer that came with success, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole body.
    pub body: Bytes,
    /// Bytes of JSON before the binary tensors, where there are any.
    pub json_length: Option<usize>,
}

/// One protocol on the wire, to one model at one server.
pub trait Transport: Clone + Send + Sync + 'static {
    /// A request encoded once, to be sent many times.
    type Request: Send + Sync + 'static;
    /// A connection that carries one request at a time.
    type Connection: Send;

    /// Asks the server what it and its model are.
    ///
    /// # Errors
    /// The server cannot be reached, does not know the model, or answers with something else.
    fn describe(&self) -> impl Future<Output = Result<(ServerMetadata, ModelMetadata)>> + Send;

    /// Encodes a request.
    ///
    /// # Errors
    /// The wire cannot carry it.
    fn prepare(&self, payload: &Payload) -> Result<Self::Request>;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Waits until the connection takes a request; `false` where it is closed.
    fn is_open(connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;

    /// Sends a request and reads its answer to the last byte. After a failure that is no answer
    /// ([`FailureKind::is_answer`]) the connection is of no more use.
    fn send(
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// [`Self::send`], on a new connection where the server has closed this one.
    fn exchange(
        &self,
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        async move {
            // A server may close a connection that was idle, or after an error: that is no failure of this request.
            if !Self::is_open(connection).await {
                *connection = self.connect().await?;
            }
            Self::send(connection, request).await
        }
    }

    /// Decodes an answer, or says in one line what is malformed.
    ///
    /// # Errors
    /// The answer is not what the protocol says.
    fn decode(&self, answer: &Answer) -> Result<InferResponse, String>;
}

/// A stream to the server on which small writes are not held back.
async fn dial(server: &ServerUrl) -> Result<TokioIo<TcpStream>, Failure> {
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

/// An answer's body to its end, trailers included.
async fn read(body: Incoming) -> Result<Collected<Bytes>, Failure> {
    Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| broken(&*error))
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
