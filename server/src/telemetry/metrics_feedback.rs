//! Counts of the corrections that came.

use prometheus::{IntCounterVec, Opts, Registry};

use super::metrics_registry::register;
use crate::error::ErrorCode;

/// Corrections by their model and what became of them.
#[derive(Clone, Debug)]
pub(super) struct Corrections(IntCounterVec);

impl Corrections {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new("decima_feedback_total", "Corrections that came, by what became of them.");
        register(registry, IntCounterVec::new(options, &["model", "outcome"])?).map(Self)
    }

    /// `model` is one that there is, or empty: clients can make up names without end.
    pub(super) fn count(&self, model: &str, refused: Option<ErrorCode>) {
        self.0.with_label_values(&[model, refused.map_or("stored", ErrorCode::label)]).inc();
    }
}
