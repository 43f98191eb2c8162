//! A request inside the batcher.

use oip::Tensor;
use tokio::time::Instant;

use super::gather::RequestInputs;
use crate::{
    error::{ErrorCode, ServeError},
    request::validate::{Inputs, Optional},
};

/// The outputs of one request, in the order of the model's signature.
pub type Answer = Vec<Tensor>;

/// A validated request, with the times that decide whether it is still worth running.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) inputs: Inputs,
    /// Positions of the optional inputs that the request gives. Their tensors are the last of `inputs`.
    pub(super) optional: Optional,
    /// When the request entered the batcher.
    pub(super) arrived: Instant,
    /// When its client stops waiting.
    pub(super) deadline: Instant,
}

impl Request {
    /// Borrows its tensors for a run.
    pub(super) fn inputs(&self) -> RequestInputs<'_> {
        RequestInputs { tensors: &self.inputs, optional: &self.optional }
    }
}

/// The error of a request whose deadline has passed.
pub(super) fn deadline_exceeded() -> ServeError {
    ServeError::new(ErrorCode::DeadlineExceeded, "the request's time ran out before it was answered")
}
