//! The metric of corrections.

use prometheus::{IntCounterVec, Opts, Registry};

use super::metrics_registry::register;
use crate::error::ErrorCode;

/// Counts corrections by model and outcome.
#[derive(Clone, Debug)]
pub(super) struct Corrections(IntCounterVec);

impl Corrections {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new("decima_feedback_total", "Corrections received, by outcome.");
        register(registry, IntCounterVec::new(options, &["model", "outcome"])?).map(Self)
    }

    /// Counts a correction. `model` must be an existing model, or empty: with names that clients make up, the number of
    /// time series would be unbounded.
    pub(super) fn count(&self, model: &str, refused: Option<ErrorCode>) {
        self.0.with_label_values(&[model, refused.map_or("stored", ErrorCode::label)]).inc();
    }
}
