//! Export of the network as an ONNX model.

pub mod chain;
pub mod export;
