//! ONNX: the network written in it.

pub mod chain;
pub mod export;
