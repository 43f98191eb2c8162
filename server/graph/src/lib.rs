//! ONNX graphs: the messages of the file format.

pub mod proto;
