//! What the server says about itself.

pub mod log;
mod metrics;

pub use metrics::{Metrics, ModelMetrics, Protocol};
