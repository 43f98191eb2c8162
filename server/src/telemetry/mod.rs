//! Logs, metrics, statistics and traces.

pub mod log;
mod metrics;
mod metrics_compat;
mod metrics_feedback;
mod metrics_predictions;
mod metrics_process;
mod metrics_registry;
mod metrics_runs;
mod statistics;
pub mod traces;

pub use metrics::{Metrics, ModelMetrics, Protocol, Timed};
pub use metrics_compat::{ModelCounts, Stage};
pub use metrics_predictions::ModelPredictions;
pub use statistics::{BatchRun, BatchTimes, Statistics};
pub use traces::{ServerSpan, Traces};
