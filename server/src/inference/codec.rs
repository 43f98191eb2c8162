//! What a wire (JSON, binary tensors, a picture, V1, gRPC) has of its own: how requests are read and answers written.

use std::future::Future;

use oip::{InferRequest, InferResponse};

use crate::{error::ServeError, loading::ServedModel};

/// How one wire reads a request for inference and writes its answer. The value is the request as it arrives.
pub trait Codec: Send {
    /// The request's body, whole and not yet decoded.
    type Body: Send + 'static;
    /// What the request says of how its answer is to be written.
    type Form: Send + 'static;
    /// The answer as it is sent.
    type Reply;

    /// Receives the body, within the limits of bytes and time.
    ///
    /// # Errors
    /// The body is too large or too late, cannot be read, or is of a kind that the model does not take.
    fn receive(self, model: &ServedModel) -> impl Future<Output = Result<Self::Body, ServeError>> + Send;

    /// How many bytes there are to decode.
    fn size(body: &Self::Body) -> EncodedSize;

    /// Decodes the body. It runs apart from the connection's thread where there is much to decode.
    ///
    /// # Errors
    /// The body is not what the wire prescribes.
    fn decode(body: Self::Body, model: &ServedModel) -> Result<(InferRequest, Self::Form), ServeError>;

    /// Writes the answer.
    ///
    /// # Errors
    /// The outputs cannot be written in the form that was asked for.
    fn encode(response: InferResponse, form: Self::Form) -> Result<Self::Reply, ServeError>;
}

/// What there is to decode, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodedSize {
    /// Text, which is read byte by byte.
    pub text: usize,
    /// Tensors and pictures, which are copied or looked at.
    pub tensors: usize,
}
