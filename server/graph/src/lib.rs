//! ONNX graphs: the messages of the file format, the inputs and outputs that a model declares, rewriting of nodes, and
//! the proof that the rows of a batch are independent.

mod interface;
pub mod proto;
mod read;
pub mod rewrite;
pub mod rows;
mod training;

pub use interface::{Declared, Dim, Interface, Kind, interface};
pub use read::{ReadError, read};
pub use rows::{Analysis, NodeName, NotProven, RowAxes, analyse};
pub use training::is_in_training_mode;
