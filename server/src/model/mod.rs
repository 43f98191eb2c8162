//! What a model is: its signature, its configuration, its place in the repository.

mod batching;
mod config;
mod image;
mod signature;

pub use batching::Batching;
pub use config::{ConfigError, DynamicBatching, InstanceGroup, ModelConfig, Nulls, VersionPolicy};
pub use image::{BOXES, ImageConfig, ImageInput, Preprocess, Steps};
pub use onnx_graph::RowAxes;
pub use signature::{Dimension, SharedSize, Signature, TensorSpec};
