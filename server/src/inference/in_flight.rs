//! Counts of inference requests in progress, and how they end.

use std::{sync::Arc, thread};

use tokio::time::Instant;

use super::deadline::Deadline;
use crate::{
    error::{ErrorCode, ServeError},
    loading::ServedModel,
    telemetry::{Metrics, Protocol},
};

/// Status recorded when the client disconnects before the response (nginx's 499).
const CLIENT_CLOSED: u16 = 499;

/// A request in progress. It is counted once, however it ends: with a response, an error, a panic, or a client that
/// disconnects.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    /// The model that computes the response.
    pub(super) model: Arc<ServedModel>,
    /// When the request's time is up.
    pub(super) deadline: Deadline,
    started: Instant,
    protocol: Protocol,
    metrics: &'a Metrics,
    is_counted: bool,
}

impl<'a> InFlight<'a> {
    pub(super) fn new(
        model: Arc<ServedModel>,
        protocol: Protocol,
        (started, deadline): (Instant, Deadline),
        metrics: &'a Metrics,
    ) -> Self {
        metrics.in_flight.inc();
        Self { model, deadline, started, protocol, metrics, is_counted: false }
    }

    /// Counts the result of the request and returns it.
    pub(super) fn finish<T>(mut self, answer: Result<T, ServeError>) -> Result<T, ServeError> {
        self.count(answer.as_ref().err().map_or(200, |error| error.code.http()));
        answer.inspect_err(|error| self.metrics.rejected(error.code))
    }

    fn count(&mut self, code: u16) {
        self.is_counted = true;
        self.model.metrics.answered(self.protocol, code, self.started.elapsed());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_counted {
            if thread::panicking() {
                self.count(ErrorCode::Internal.http());
                self.metrics.rejected(ErrorCode::Internal);
            } else {
                self.count(CLIENT_CLOSED);
            }
        }
        self.metrics.in_flight.dec();
    }
}
