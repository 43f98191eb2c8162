//! A request for inference while it is answered: counted, and given up when its client is.

use std::{sync::Arc, thread};

use tokio::time::Instant;

use crate::{
    error::{ErrorCode, ServeError},
    loading::ServedModel,
    telemetry::{Metrics, Protocol},
};

/// Status recorded when the client disconnects before the response (nginx's 499).
const CLIENT_CLOSED: u16 = 499;

/// A request that is being answered. However it ends, it is counted once, and no longer in flight.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    /// The model that answers.
    pub(super) model: Arc<ServedModel>,
    /// By when it must.
    pub(super) deadline: Instant,
    started: Instant,
    protocol: Protocol,
    metrics: &'a Metrics,
    is_counted: bool,
}

impl<'a> InFlight<'a> {
    pub(super) fn new(
        model: Arc<ServedModel>,
        protocol: Protocol,
        (started, deadline): (Instant, Instant),
        metrics: &'a Metrics,
    ) -> Self {
        metrics.in_flight.inc();
        Self { model, deadline, started, protocol, metrics, is_counted: false }
    }

    /// Counts how the request was answered, and hands that on.
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
            let code = if thread::panicking() { ErrorCode::Internal.http() } else { CLIENT_CLOSED };
            self.count(code);
        }
        self.metrics.in_flight.dec();
    }
}
