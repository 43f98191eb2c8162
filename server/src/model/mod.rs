//! The description of a model: its inputs and outputs, its `config.toml`, and whether its requests can be batched.

mod batching;
mod config;
mod image;
mod signature;

pub use batching::Batching;
pub use config::{
    ConfigError, DynamicBatching, InstanceGroup, MetricsConfig, ModelConfig, Nulls, VersionPolicy,
};
pub use image::{BOXES, ImageConfig, ImageInput, Preprocess, Steps};
pub use onnx_graph::RowAxes;
pub use signature::{Dimension, SharedSize, Signature, TensorSpec};
