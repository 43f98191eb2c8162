//! Ways to carry a request to a server and its answer back; the work loop is generic over them.

mod http;

use std::future::Future;

use anyhow::Result;
use bytes::Bytes;
use oip::InferResponse;

pub use self::http::{Http, ServerUrl, Wire, model_path};
use crate::{failure::Failure, inputs::Payload};

/// An answer that came with success, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole body.
    pub body: Bytes,
    /// Bytes of JSON before the binary tensors, where there are any.
    pub json_length: Option<usize>,
}

/// One protocol on the wire.
pub trait Transport: Clone + Send + Sync + 'static {
    /// A request encoded once, to be sent many times.
    type Request: Send + Sync + 'static;
    /// A connection that carries one request at a time.
    type Connection: Send;

    /// Encodes a request.
    ///
    /// # Errors
    /// The wire cannot carry it.
    fn prepare(&self, payload: &Payload) -> Result<Self::Request>;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Sends a request and reads its answer to the last byte. After a failure other than
    /// [`crate::failure::FailureKind::Status`] the connection is of no more use.
    fn exchange(
        &self,
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Decodes an answer, or says in one line what is malformed.
    ///
    /// # Errors
    /// The answer is not what the protocol says.
    fn decode(&self, answer: &Answer) -> Result<InferResponse, String>;
}
