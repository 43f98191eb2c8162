//! The inputs of a graph, and which of their axes may be the row axis.

use std::collections::HashSet;

use super::{
    reason::NotProven,
    size::Size,
    value::{Layout, State, Value},
    walk::{MAX_AXES, Walk},
};
use crate::proto::{DimensionValue, GraphProto, TensorShapeProto, ValueInfoProto};

/// Highest number of combinations (one axis for each input) that are tried.
const MAX_CANDIDATES: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dim<'g> {
    Fixed(i64),
    Named(&'g str),
    Unnamed,
}

/// An input that a request must give.
pub(crate) struct Input<'g> {
    pub(crate) name: &'g str,
    data_type: i32,
    /// `None` if the file does not give the rank, or if the input is not a tensor.
    dims: Option<Vec<Dim<'g>>>,
    is_tensor: bool,
}

/// The inputs without a default.
pub(crate) fn required(graph: &GraphProto) -> Vec<Input<'_>> {
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    let defaults: HashSet<&str> =
        graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.as_str()).collect();
    graph.input.iter().filter(|input| !defaults.contains(input.name.as_str())).map(Input::of).collect()
}

fn dims(shape: &TensorShapeProto) -> Vec<Dim<'_>> {
    let dim = |value: &Option<DimensionValue>| match value {
        // some old files write 0 or -1 for a size that is not fixed
        Some(DimensionValue::DimValue(size)) if *size > 0 => Dim::Fixed(*size),
        _ => Dim::Unnamed,
    };
    let named = |value| match value {
        &Some(DimensionValue::DimParam(ref name)) if !name.is_empty() => Dim::Named(name),
        other => dim(other),
    };
    shape.dim.iter().map(|dimension| named(&dimension.value)).collect()
}

impl<'g> Input<'g> {
    fn of(info: &'g ValueInfoProto) -> Self {
        let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        Self {
            name: &info.name,
            data_type: tensor.map_or(0, |tensor| tensor.elem_type),
            dims: tensor
                .and_then(|tensor| tensor.shape.as_ref())
                .filter(|s| s.dim.len() <= MAX_AXES)
                .map(dims),
            is_tensor: tensor.is_some(),
        }
    }

    fn axis(&self, axis: usize) -> Option<Dim<'g>> {
        self.dims.as_ref().and_then(|dims| dims.get(axis).copied())
    }

    fn is_dynamic(&self, axis: usize) -> bool {
        self.axis(axis).is_some_and(|dim| !matches!(dim, Dim::Fixed(_)))
    }

    /// The value of the input, with the rows along `axis`.
    pub(crate) fn value(&self, walk: &mut Walk<'_>, axis: Option<usize>) -> Value {
        let rows = axis.filter(|&axis| self.is_dynamic(axis));
        let (Some(dims), Some(rows)) = (&self.dims, rows) else {
            let cause = NotProven::whole(format!("input '{}' has no axis of rows", self.name));
            let state = walk.add_cause(cause);
            return Value { from_data: true, ..Value::unknown().with_type(self.data_type).with_state(state) };
        };
        let shape: Vec<Size> = dims
            .iter()
            .enumerate()
            .map(|(axis, dim)| match dim {
                _ if axis == rows => Size::ROWS,
                Dim::Fixed(size) => walk.sizes.constant(*size),
                Dim::Named(name) => walk.sizes.named(name),
                Dim::Unnamed => walk.sizes.fresh(false),
            })
            .collect();
        for &dim in &shape {
            walk.sizes.mark_dimension(dim);
        }
        let value =
            Value::shaped(shape).with_type(self.data_type).with_state(State::Rows(Layout::plain(rows)));
        Value { from_data: true, ..value }
    }
}

/// Combinations of row axes to try, the most likely ones first. Each has one axis for each input.
pub(crate) fn candidates(inputs: &[Input<'_>]) -> Vec<Vec<usize>> {
    let Some(first) = inputs.first() else { return Vec::new() };
    let mut candidates = vec![vec![0; inputs.len()]];
    for dim in first.dims.iter().flatten() {
        // the axis with this name, if every input has exactly one
        let axis_in = |input: &Input<'_>| {
            let dims = input.dims.as_ref()?;
            let mut axes = (0..dims.len()).filter(|&axis| dims[axis] == *dim);
            axes.next().filter(|_| axes.next().is_none())
        };
        if let (Dim::Named(_), Some(axes)) = (dim, inputs.iter().map(axis_in).collect()) {
            candidates.push(axes);
        }
    }
    candidates.push(vec![1; inputs.len()]);
    // for example a state of [layers, batch] beside an input of [batch, features]
    let first_dynamic =
        |input: &Input<'_>| (0..input.dims.as_ref().map_or(0, Vec::len)).find(|&axis| input.is_dynamic(axis));
    candidates.extend(inputs.iter().map(first_dynamic).collect::<Option<Vec<usize>>>());
    let mut tried: Vec<Vec<usize>> = Vec::new();
    for candidate in candidates {
        if !tried.contains(&candidate) && tried.len() < MAX_CANDIDATES {
            tried.push(candidate);
        }
    }
    tried
}

fn ordinal(axis: usize) -> String {
    ["first", "second", "third", "fourth"]
        .get(axis)
        .map_or_else(|| format!("{}th", axis + 1), |&word| word.to_owned())
}

/// Checks that an input has axes that can hold rows.
fn check_has_axes(input: &Input<'_>) -> Result<(), NotProven> {
    let refused = |what: &str| Err(NotProven::whole(format!("input '{}' {what}", input.name)));
    match &input.dims {
        _ if !input.is_tensor => refused("is not a tensor"),
        None => refused("has no shape in the file"),
        Some(dims) if dims.is_empty() => refused("is a single number, without rows"),
        Some(_) => Ok(()),
    }
}

/// Checks that every input can have its rows along the chosen axis. Faults that no other choice could mend are reported
/// first.
pub(crate) fn check(inputs: &[Input<'_>], axes: &[usize]) -> Result<(), NotProven> {
    inputs.iter().try_for_each(check_has_axes)?;
    for (input, &axis) in inputs.iter().zip(axes) {
        let (name, which) = (input.name, ordinal(axis));
        match input.dims.as_deref().unwrap_or_default().get(axis) {
            None => return Err(NotProven::whole(format!("input '{name}' has no {which} dimension"))),
            Some(Dim::Fixed(size)) => {
                return Err(NotProven::whole(format!(
                    "input '{name}' has a fixed {which} dimension of {size}"
                )));
            }
            Some(_) => {}
        }
    }
    // the symbolic name of the row axis must not be used for another axis
    for (row_input, &row_axis) in inputs.iter().zip(axes) {
        let Some(Dim::Named(name)) = row_input.axis(row_axis) else { continue };
        for (input, &own) in inputs.iter().zip(axes) {
            let dims = input.dims.iter().flatten().enumerate();
            if dims.clone().any(|(axis, &dim)| axis != own && dim == Dim::Named(name)) {
                let input = input.name;
                return Err(NotProven::whole(format!(
                    "'{name}' is the size of the rows, and also of another axis of input '{input}'"
                )));
            }
        }
    }
    Ok(())
}
