//! Whether row i of every output depends on row i of the inputs alone, for any number of rows.

mod reason;

pub use reason::{NodeName, NotProven};

use crate::proto::ModelProto;

/// What a graph says of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// The axes of the rows, where rows are proven independent.
    pub rows: Result<RowAxes, NotProven>,
    /// An operator that may run long whatever the shapes are: its length depends on values of the inputs.
    pub value_dependent: Option<NodeName>,
}

/// The axis that carries the rows, for each input that a request must give (the graph's inputs without those that
/// have an initializer of the same name), and for each output, in the graph's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAxes {
    /// One axis for each input that a request must give.
    pub inputs: Vec<usize>,
    /// One axis for each output.
    pub outputs: Vec<usize>,
}

/// Proves from the graph that rows are independent, or says why not.
#[must_use]
pub fn analyse(model: &ModelProto) -> Analysis {
    let _ = model;
    Analysis { rows: Err(NotProven::whole("rows are not analysed yet")), value_dependent: None }
}
