//! Proves that row i of every output depends on row i of the inputs only, for any number of rows.

mod attribute;
mod broadcast;
mod compare;
mod contents;
mod control_flow;
mod function;
mod input;
mod node;
mod polynomial;
mod reason;
mod rules;
mod size;
#[cfg(test)]
mod size_tests;
mod value;
mod walk;

pub use reason::{NodeName, NotProven};

use crate::proto::{GraphProto, ModelProto};
use input::Input;
use value::{Layout, State, Value};
use walk::Walk;

/// The result of the row analysis of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// The row axes, if the rows are proven independent.
    pub rows: Result<RowAxes, NotProven>,
    /// An operator whose running time depends on values of the inputs, and not on shapes alone. It may run for a long
    /// time.
    pub value_dependent: Option<NodeName>,
}

/// The row axis of each required input and of each output, in the graph's order. Required inputs are the graph's inputs
/// without those that have an initializer of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAxes {
    /// One axis for each required input.
    pub inputs: Vec<usize>,
    /// One axis for each output.
    pub outputs: Vec<usize>,
}

/// Proves from the graph that rows are independent, or says why it cannot.
///
/// Inputs with an initializer of the same name have the initializer's value in this proof. The proof does not hold for
/// a request that overrides such an input, or for a batch of requests whose other axes differ. It does not cover errors
/// either: an operator that refuses a value in one row refuses the whole batch.
#[must_use]
pub fn analyse(model: &ModelProto) -> Analysis {
    let Some(graph) = &model.graph else {
        let rows = Err(NotProven::whole("the file has no graph"));
        return Analysis { rows, value_dependent: None };
    };
    let inputs = input::required(graph);
    let candidates = input::candidates(&inputs);
    let mut first: Option<Analysis> = None;
    for axes in candidates {
        let checked = input::check(&inputs, &axes);
        if checked.is_err() && first.is_some() {
            continue;
        }
        let mut analysis = walk(model, graph, &inputs, &axes);
        if let Err(reason) = checked {
            analysis.rows = Err(reason);
        }
        if analysis.rows.is_ok() {
            return analysis;
        }
        first.get_or_insert(analysis);
    }
    first.unwrap_or_else(|| {
        let rows = Err(NotProven::whole("the model has no inputs"));
        let value_dependent = walk(model, graph, &inputs, &[]).value_dependent;
        Analysis { rows, value_dependent }
    })
}

/// Analyses the graph with the rows along these axes of the inputs.
fn walk(model: &ModelProto, graph: &GraphProto, inputs: &[Input<'_>], axes: &[usize]) -> Analysis {
    let mut walk = Walk::new(model);
    let values: Vec<(&str, Value)> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| (input.name, input.value(&mut walk, axes.get(index).copied())))
        .collect();
    let outputs = walk.graph(graph, &values);
    let axes_of_outputs: Result<Vec<usize>, NotProven> = graph
        .output
        .iter()
        .zip(&outputs)
        .map(|(output, value)| row_axis(&walk, value).map_err(|reason| reason.named(&output.name)))
        .collect();
    let rows = axes_of_outputs
        .map(|outputs| RowAxes { inputs: axes.to_vec(), outputs })
        .map_err(|reason| walk.suspicion.clone().unwrap_or(reason));
    Analysis { rows, value_dependent: walk.value_dependent }
}

/// Why an output has no row axis.
enum OutputReason {
    Output(&'static str),
    Whole(NotProven),
}

impl OutputReason {
    fn named(self, output: &str) -> NotProven {
        match self {
            Self::Output(reason) => NotProven::whole(format!("output '{output}' {reason}")),
            Self::Whole(reason) => reason,
        }
    }
}

fn row_axis(walk: &Walk<'_>, value: &Value) -> Result<usize, OutputReason> {
    Err(OutputReason::Output(match value.state {
        State::Mixed(cause) => return Err(OutputReason::Whole(walk.cause(cause))),
        _ if value.elements.is_some() => "is a sequence of tensors",
        State::Rows(layout) if layout == Layout::plain(layout.axis) => return Ok(layout.axis),
        State::Rows(_) => "has several rows for each row of the inputs",
        State::Padded => "is as wide as the longest text of the batch",
        State::Free => "is the same for all rows",
        State::Count | State::Numbers(_) | State::RowIndices { .. } => {
            "does not have a row for each row of the inputs: it depends on their number alone"
        }
    }))
}
