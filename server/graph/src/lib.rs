//! ONNX graphs: the messages of the file format, and what a graph says of itself.

mod interface;
pub mod proto;

pub use interface::{Declared, Dim, Interface, Kind, interface};
