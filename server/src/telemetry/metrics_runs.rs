//! Metrics of the runs that the server stopped, or tried to stop.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::metrics_registry::register;

/// The metrics of all models.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    stopped: IntCounterVec,
    not_stopped: IntCounterVec,
    unstopped: IntGaugeVec,
}

/// The metrics of one version of a model.
#[derive(Debug)]
pub struct ModelRuns {
    /// Runs that were stopped because no request waited for their outputs any more.
    pub stopped: IntCounter,
    /// Runs that did not stop when they were told to.
    pub not_stopped: IntCounter,
    /// Of these, the runs that still go on.
    pub unstopped: IntGauge,
}

impl Runs {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let model = ["model", "version"];
        let counters =
            |name: &str, help: &str| register(registry, IntCounterVec::new(Opts::new(name, help), &model)?);
        let unstopped = Opts::new("decima_unstopped_runs", "Runs that were told to stop and still go on.");
        Ok(Self {
            stopped: counters(
                "decima_runs_stopped_total",
                "Runs that were stopped because no request waited for their outputs any more.",
            )?,
            not_stopped: counters(
                "decima_runs_not_stopped_total",
                "Runs that went on after they were told to stop.",
            )?,
            unstopped: register(registry, IntGaugeVec::new(unstopped, &model)?)?,
        })
    }

    pub(super) fn model(&self, labels: &[&str; 2]) -> ModelRuns {
        ModelRuns {
            stopped: self.stopped.with_label_values(labels),
            not_stopped: self.not_stopped.with_label_values(labels),
            unstopped: self.unstopped.with_label_values(labels),
        }
    }
}
