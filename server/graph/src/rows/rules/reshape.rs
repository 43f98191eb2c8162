//! Operators that change the shape or the order of the axes, and keep the elements.

use super::{Entry, elementwise::like_first, entry, matmul::result};
use crate::rows::{
    attribute, contents,
    node::{Mixes, Node, Outcome, mixes},
    size::Size,
    value::{Layout, State, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Reshape" => entry(reshape).sizes(0b10).any_state(),
        "Flatten" => entry(flatten),
        "Squeeze" => entry(squeeze).any_state(),
        "Unsqueeze" => entry(unsqueeze).any_state(),
        "Transpose" => entry(transpose).any_state(),
        "DepthToSpace" | "SpaceToDepth" => entry(blocks),
        "Identity" => entry(|node| Ok(vec![node.value(0)?.clone()])).any_state(),
        "ReverseSequence" => entry(reverse_sequence),
        _ => return None,
    })
}

const FIXED_TO_ONE_ROW: &str = "has the batch size 1 written in its shape";

/// The state of a value after a reshape to `target`.
fn reshaped(node: &mut Node<'_>, value: &Value, target: &[Size]) -> Result<State, Mixes> {
    let own = match value.state {
        State::Rows(layout) => layout,
        State::Numbers(numbers) => Layout::plain(numbers.axis),
        State::RowIndices { .. } => return Err(mixes("reshapes the numbers of the rows")),
        other => return Ok(other),
    };
    let shape = value.shape.as_deref().ok_or_else(|| mixes("has an input of unknown rank"))?;
    let rows = place(node, shape, own, target)?;
    if own.axis == 0 && target.first() == Some(&Size::ONE) && rows.inner != Size::ONE {
        node.suspicion = Some(FIXED_TO_ONE_ROW);
    }
    match value.state {
        State::Numbers(numbers) if rows.is_plain() => Ok(State::Numbers(numbers.on(rows.axis))),
        State::Numbers(_) => Ok(State::Count),
        _ => Ok(State::Rows(rows)),
    }
}

/// The layout of the rows in a new shape.
///
/// In row-major order, an element has the position `(p * rows + row) * q + i`, where `p` is below `lead`. The row axis
/// of the new shape is the one where the product of the sizes before it is `lead`, or divides it; the quotient becomes
/// the outer size. Both shapes have the same number of elements, so the axis can also be found from the end: by the
/// product of the sizes after it and the number of values of `i`.
pub(crate) fn place(
    node: &mut Node<'_>,
    shape: &[Size],
    own: Layout,
    target: &[Size],
) -> Result<Layout, Mixes> {
    let sizes = &mut *node.sizes;
    let lead = sizes.product(&shape[..own.axis]);
    let lead = sizes.mul(lead, own.outer);
    let trail = sizes.product(&shape[own.axis + 1..]);
    let trail = sizes.mul(trail, own.inner);
    let mut after = vec![Size::ONE; target.len()];
    for axis in (1..target.len()).rev() {
        after[axis - 1] = sizes.mul(after[axis], target[axis]);
    }
    let mut before = Size::ONE;
    for (axis, &dim) in target.iter().enumerate() {
        if !sizes.is_free(dim) {
            if let Some(outer) = sizes.divide(lead, before)
                && let Some(rest) = sizes.divide(dim, outer)
                && let Some(inner) = sizes.divide(rest, Size::ROWS)
            {
                return Ok(Layout { axis, outer, inner });
            }
            // the same from the end: the number of elements after a row does not change
            if let Some(inner) = sizes.divide(trail, after[axis])
                && let Some(rest) = sizes.divide(dim, inner)
                && let Some(outer) = sizes.divide(rest, Size::ROWS)
            {
                return Ok(Layout { axis, outer, inner });
            }
            return Err(mixes("mixes the rows with other axes in its new shape"));
        }
        before = sizes.mul(before, dim);
    }
    Err(mixes(if target.first() == Some(&Size::ONE) {
        FIXED_TO_ONE_ROW
    } else {
        "has a fixed number of rows written in its shape"
    }))
}

fn reshape(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    if node.layout(1).is_some() {
        return Err(mixes("takes a shape from values of the rows"));
    }
    let shape = node.shape(0)?;
    let Some(wanted) = node.numbers("shape", 1)? else { return Err(mixes("lacks an input")) };
    let mut target = Vec::with_capacity(wanted.len());
    let mut inferred = None;
    for (axis, &want) in wanted.iter().enumerate() {
        match node.sizes.as_constant(want) {
            Some(0) if node.int("allowzero", 0) == 0 => {
                target.push(*shape.get(axis).ok_or_else(|| mixes("copies an axis that its input lacks"))?);
            }
            Some(-1) => {
                inferred = Some(axis);
                target.push(Size::ONE);
            }
            _ if node.sizes.is_never_negative(want) => target.push(want),
            // the size may be -1, which means whatever is left
            _ => target.push(node.sizes.fresh(node.has_rows() || !node.sizes.is_free(want))),
        }
    }
    if let Some(axis) = inferred {
        let (total, others) = (node.sizes.product(shape), node.sizes.product(&target));
        target[axis] = match node.sizes.divide(total, others) {
            Some(rest) => rest,
            None => node.sizes.opaque(crate::rows::size::Op::Div, total, others),
        };
    }
    let state = reshaped(node, value, &target)?;
    if let (State::Rows(rows), None) = (state, inferred)
        && !holds(node, shape, &target, rows.axis)
    {
        return Err(mixes("has sizes written in its shape that may not be those of its input"));
    }
    Ok(vec![same_elements(value, target).with_state(state)])
}

/// Whether the row axis certainly has the size that the new shape gives. ONNX Runtime does not refuse every shape with
/// a different number of elements. When it optimises a graph, it may replace one computed size by -1, unless that size
/// is a copy of the input's. If this may be the size of the row axis, both shapes must have the same number of
/// elements.
fn holds(node: &mut Node<'_>, shape: &[Size], target: &[Size], rows: usize) -> bool {
    let is_other = |(axis, &size): (usize, &Size)| {
        axis != rows && node.sizes.as_constant(size).is_none() && shape.get(axis) != Some(&size)
    };
    target.iter().enumerate().any(is_other) || node.sizes.product(shape) == node.sizes.product(target)
}

/// The value with another shape and the same elements.
fn same_elements(value: &Value, shape: Vec<Size>) -> Value {
    Value { shape: Some(shape.into()), ..value.clone() }
}

fn flatten(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    if value.state == State::Padded && node.int("axis", 1) == 1 {
        return Ok(vec![value.clone()]);
    }
    let shape = node.shape(0)?;
    let axis = match node.int("axis", 1) {
        axis if usize::try_from(axis) == Ok(shape.len()) => shape.len(),
        _ => node.axis(1, shape.len().max(1))?,
    };
    let (before, after) = shape.split_at(axis.min(shape.len()));
    let target = vec![node.sizes.product(before), node.sizes.product(after)];
    let state = reshaped(node, value, &target)?;
    Ok(vec![same_elements(value, target).with_state(state)])
}

/// The state of a value whose axes are permuted or dropped. `None` if the row axis is dropped.
fn moved(state: State, target: impl Fn(usize) -> Option<usize>) -> Option<State> {
    Some(match state {
        State::Rows(layout) => State::Rows(layout.on(target(layout.axis)?)),
        State::Numbers(numbers) => State::Numbers(numbers.on(target(numbers.axis)?)),
        // a column axis only has a meaning as the last axis
        State::RowIndices { .. } => State::Count,
        other => other,
    })
}

fn squeeze(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let axes = if let Some(axes) = node.axes(1, shape.len())? {
        axes
    } else {
        if shape.iter().any(|&dim| node.sizes.as_constant(dim).is_none()) {
            return Err(mixes(
                "drops every axis of size 1, which includes the axis of the rows when there is one row",
            ));
        }
        (0..shape.len()).filter(|&axis| shape[axis] == Size::ONE).collect()
    };
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let state = moved(value.state, |axis| kept.iter().position(|&kept| kept == axis))
        .ok_or_else(|| mixes("drops the axis of the rows, as if there were only one row"))?;
    Ok(vec![same_elements(value, kept.iter().map(|&axis| shape[axis]).collect()).with_state(state)])
}

fn unsqueeze(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let numbers = node.numbers("axes", 1)?.ok_or_else(|| mixes("lacks an input"))?;
    let rank = shape.len() + numbers.len();
    let axes: Vec<usize> = numbers.iter().map(|&axis| node.axis_of(axis, rank)).collect::<Result<_, _>>()?;
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    if kept.len() != shape.len() {
        return Err(mixes("adds an axis twice"));
    }
    let mut target = vec![Size::ONE; rank];
    for (&axis, &dim) in kept.iter().zip(shape.iter()) {
        target[axis] = dim;
    }
    let state = moved(value.state, |axis| kept.get(axis).copied()).unwrap_or(State::Count);
    Ok(vec![same_elements(value, target).with_state(state)])
}

fn transpose(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let rank = shape.len();
    let order: Vec<usize> = match attribute::ints(node.proto, "perm") {
        Some(order) => order.iter().filter_map(|&axis| usize::try_from(axis).ok()).collect(),
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(mixes("has an order of axes that does not fit its input"));
    }
    let target: Vec<Size> = order.iter().map(|&axis| shape[axis]).collect();
    let state =
        moved(value.state, |axis| order.iter().position(|&from| from == axis)).unwrap_or(State::Count);
    let elements = value.contents.as_deref().zip(node.small(shape)).and_then(|(elements, dims)| {
        let out: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        let element = |index: Vec<usize>| {
            let mut from = vec![0; rank];
            order.iter().zip(&index).for_each(|(&axis, &i)| from[axis] = i);
            elements.get(contents::position(&dims, &from)).copied()
        };
        contents::indices(&out).into_iter().map(element).collect()
    });
    let result = Value::shaped(target).with_type(value.data_type);
    Ok(vec![result.with_contents(elements).with_state(state)])
}

/// Moves channels into blocks of height and width, or back.
fn blocks(node: &mut Node<'_>) -> Outcome {
    let &[batch, ..] = &node.shape(0)?[..] else { return Err(mixes("has a scalar as input")) };
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis != 0) {
        return Err(mixes("moves elements between the rows"));
    }
    let shape = vec![batch, node.fresh(), node.fresh(), node.fresh()];
    Ok(vec![result(shape, rows)])
}

/// Reverses the first elements of each sequence of the batch.
fn reverse_sequence(node: &mut Node<'_>) -> Outcome {
    let (batch, time) = (node.int("batch_axis", 1), node.int("time_axis", 0));
    let (rows, lengths) = (node.layout(0), node.layout(1));
    let at = |axis: i64| rows.is_some_and(|rows| usize::try_from(axis) == Ok(rows.axis));
    if at(time) {
        return Err(mixes("reverses the rows"));
    }
    let fits = match (rows, lengths) {
        (Some(rows), Some(lengths)) => at(batch) && rows.matches(lengths),
        (Some(_), None) => !at(batch),
        _ => false,
    };
    if node.has_rows() && !fits {
        return Err(mixes("has a length for each of other rows"));
    }
    like_first(node)
}
