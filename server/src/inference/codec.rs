//! The part of inference that differs between wire formats (JSON, binary tensors, pictures, V1, gRPC): reading requests
//! and writing responses.

use std::future::Future;

use oip::{InferRequest, InferResponse};

use crate::{error::ServeError, loading::ServedModel};

/// Reads inference requests of one wire format and writes their responses. A value is one request as it arrives.
pub trait Codec: Send {
    /// The complete body of the request, not yet decoded.
    type Body: Send + 'static;
    /// How the request wants its response to be written.
    type Form: Send + 'static;
    /// The encoded response.
    type Reply;

    /// Receives the body, within the limits of size and time.
    ///
    /// # Errors
    /// The body is too large or too late, cannot be read, or is of a kind that the model does not accept.
    fn receive(self, model: &ServedModel) -> impl Future<Output = Result<Self::Body, ServeError>> + Send;

    /// Returns how many bytes there are to decode.
    fn size(body: &Self::Body) -> EncodedSize;

    /// Decodes the body. A large one is decoded on a thread for blocking work.
    ///
    /// # Errors
    /// The body does not follow the wire format.
    fn decode(body: Self::Body, model: &ServedModel) -> Result<(InferRequest, Self::Form), ServeError>;

    /// Encodes the response.
    ///
    /// # Errors
    /// The outputs cannot be written in the requested form.
    fn encode(response: InferResponse, form: Self::Form) -> Result<Self::Reply, ServeError>;
}

/// The size of a body, by how long its bytes take to decode.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodedSize {
    /// Bytes of text, which are parsed one by one.
    pub text: usize,
    /// Bytes of tensors and pictures, which are copied or checked.
    pub tensors: usize,
}
