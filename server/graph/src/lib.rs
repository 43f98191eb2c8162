//! ONNX graphs: the messages of the file format, and what a graph says of the rows of its batch.

pub mod proto;
mod read;
pub mod rows;

pub use read::{ReadError, read};
pub use rows::{Analysis, NodeName, NotProven, RowAxes, analyse};
