//! What the server says about itself.

pub mod log;
mod metrics;
mod statistics;

pub use metrics::{Metrics, ModelMetrics, Protocol};
pub use statistics::{BatchRun, BatchTimes, Statistics};
