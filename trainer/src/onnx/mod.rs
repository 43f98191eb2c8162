//! ONNX: the file format's messages, and the network written in it.

pub mod chain;
pub mod export;
pub mod proto;
