//! What a model is: its signature, its configuration, its place in the repository.

mod config;
mod signature;

pub use config::{ConfigError, DynamicBatching, InstanceGroup, ModelConfig, Nulls, VersionPolicy};
pub use signature::{Dimension, Signature, TensorSpec};
