//! Operators that slice, split, concatenate or pad tensors.

use super::{Entry, entry, matmul::result};
use crate::rows::{
    attribute, contents,
    node::{Mixes, Node, Outcome, mixes},
    size::{Op, Size},
    value::{Layout, State, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Slice" => entry(slice).sizes(0b11110),
        "Split" => entry(split).sizes(0b10),
        "Concat" => entry(|node| concat(node, node.inputs)).any_state(),
        "Pad" => entry(pad).sizes(0b1010).grows(0b10),
        "CenterCropPad" => entry(center_crop_pad).sizes(0b10).grows(0b10),
        _ => return None,
    })
}

/// An end of at least this value means the end of the axis: no batch has so many rows. TensorFlow writes this value.
const END_OF_AXIS: i64 = 1_000_000_000;

#[derive(Clone, Copy)]
struct Part {
    start: Size,
    end: Size,
    step: i64,
}

/// Whether the slice is the whole axis, in its order.
fn is_whole(node: &Node<'_>, part: Part, dim: Size) -> bool {
    let end = node.sizes.as_constant(part.end);
    part.step == 1
        && part.start == Size::ZERO
        && (part.end == dim || end.is_some_and(|end| end >= END_OF_AXIS))
}

fn length(node: &mut Node<'_>, part: Part, dim: Size) -> Size {
    if is_whole(node, part, dim) {
        return dim;
    }
    let known = |size| node.sizes.as_constant(size);
    if let (Some(start), Some(end), Some(dim)) = (known(part.start), known(part.end), known(dim)) {
        let (first, last) = bounds(start, end, part.step, dim);
        let distance = if part.step > 0 { last - first } else { first - last };
        let step = part.step.unsigned_abs().max(1);
        let count = u64::try_from(distance).unwrap_or(0).div_ceil(step);
        return node.sizes.constant(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if part.start == Size::ZERO && part.step == 1 && node.sizes.is_never_negative(part.end) {
        return node.sizes.least(dim, part.end);
    }
    let step = node.sizes.constant(part.step);
    let ends = node.sizes.opaque(Op::Pair, part.start, part.end);
    let how = node.sizes.opaque(Op::Pair, ends, step);
    node.sizes.opaque(Op::Slice, dim, how)
}

/// Start and end of a slice, clamped to an axis of this length.
fn bounds(start: i64, end: i64, step: i64, dim: i64) -> (i64, i64) {
    let from_front = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
    let (low, high) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
    let first = from_front(start).clamp(low.max(0).min(high.max(0)), high.max(0));
    (first, from_front(end).clamp(low, high.max(low)))
}

fn slice(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let starts = node.numbers("starts", 1)?.ok_or_else(|| mixes("lacks an input"))?;
    let ends = node.numbers("ends", 2)?.ok_or_else(|| mixes("lacks an input"))?;
    let axes = node.axes(3, shape.len())?.unwrap_or_else(|| (0..starts.len()).collect());
    let steps = match node.optional(4) {
        Some(steps) => {
            steps.contents.clone().ok_or_else(|| mixes("has steps that the graph does not determine"))?
        }
        None => vec![Size::ONE; starts.len()].into(),
    };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(mixes("has another number of starts than of ends or axes"));
    }
    let mut target = shape.to_vec();
    let mut parts: Vec<Option<Part>> = vec![None; shape.len()];
    for (index, &axis) in axes.iter().enumerate() {
        let dim = *shape.get(axis).ok_or_else(|| mixes("has an axis that its input lacks"))?;
        let step = node.sizes.as_constant(steps[index]).filter(|&step| step != 0);
        let step = step.ok_or_else(|| mixes("has a step that the graph does not determine"))?;
        let part = Part { start: starts[index], end: ends[index], step };
        if node.layout(0).is_some_and(|rows| rows.axis == axis) {
            if !is_whole(node, part, dim) {
                return Err(mixes("cuts out a part of the rows"));
            }
        } else if node.layout(0).is_some()
            && !(node.sizes.is_free(part.start) && node.sizes.is_free(part.end))
        {
            return Err(mixes("cuts at a place that depends on the number of rows"));
        }
        target[axis] = length(node, part, dim);
        parts[axis] = Some(part);
    }
    let elements = cut(node, value, &parts, &target);
    Ok(vec![result(target, value.layout()).with_type(value.data_type).with_contents(elements)])
}

fn cut(node: &Node<'_>, value: &Value, parts: &[Option<Part>], target: &[Size]) -> Option<Vec<Size>> {
    let (elements, dims) = (value.contents.as_deref()?, node.small(value.shape.as_deref()?)?);
    let mut steps = Vec::with_capacity(parts.len());
    for (part, &dim) in parts.iter().zip(&dims) {
        steps.push(match part {
            None => (0, 1),
            Some(part) => {
                let (start, end) = (node.sizes.as_constant(part.start)?, node.sizes.as_constant(part.end)?);
                (bounds(start, end, part.step, i64::try_from(dim).ok()?).0, part.step)
            }
        });
    }
    let element = |index: Vec<usize>| {
        let from = index.iter().zip(&steps).map(|(&i, &(start, step))| {
            usize::try_from(i64::try_from(i).ok()?.checked_mul(step)?.checked_add(start)?).ok()
        });
        elements.get(contents::position(&dims, &from.collect::<Option<Vec<_>>>()?)).copied()
    };
    contents::indices(&node.small(target)?).into_iter().map(element).collect()
}

fn split(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let axis = node.axis(0, shape.len())?;
    let parts = part_sizes(node, shape[axis])?;
    let mut outputs = Vec::with_capacity(parts.len());
    for part in parts {
        let mut target = shape.to_vec();
        target[axis] = part;
        let mut rows = value.layout();
        if let Some(layout) = rows.as_mut().filter(|rows| rows.axis == axis) {
            // several batches along one axis can be split if each part is a number of whole batches
            let unit = node.sizes.mul(Size::ROWS, layout.inner);
            layout.outer = node
                .sizes
                .divide(part, unit)
                .filter(|&outer| node.sizes.is_free(outer))
                .ok_or_else(|| mixes("splits the rows"))?;
        }
        outputs.push(result(target, rows).with_type(value.data_type));
    }
    Ok(outputs)
}

/// The sizes of the outputs of a split along an axis of size `dim`.
pub(crate) fn part_sizes(node: &mut Node<'_>, dim: Size) -> Result<Vec<Size>, Mixes> {
    let outputs = node.proto.output.len().max(1);
    if let Some(parts) = node.numbers("split", 1)? {
        return if parts.len() == outputs {
            Ok(parts)
        } else {
            Err(mixes("has another number of parts than of outputs"))
        };
    }
    let count = node.sizes.constant(i64::try_from(outputs).unwrap_or(1));
    if let Some(part) = node.sizes.divide(dim, count) {
        return Ok(vec![part; outputs]);
    }
    let last_axis_known = node.sizes.as_constant(dim);
    Ok((0..outputs)
        .map(|_| match last_axis_known {
            Some(_) => node.sizes.fresh(false),
            None => node.sizes.fresh(!node.sizes.is_free(dim)),
        })
        .collect())
}

/// Concatenates tensors along an axis.
pub(crate) fn concat(node: &mut Node<'_>, values: &[Option<Value>]) -> Outcome {
    let values: Vec<&Value> = values.iter().flatten().collect();
    let first = values.first().ok_or_else(|| mixes("lacks an input"))?;
    let mut shapes = Vec::with_capacity(values.len());
    for value in &values {
        shapes.push(value.shape.as_deref().ok_or_else(|| mixes("has an input of unknown rank"))?);
    }
    let rank = shapes[0].len();
    let axis = node.axis(1, rank)?;
    if shapes.iter().any(|shape| shape.len() != rank) {
        return Err(mixes("joins tensors of different ranks"));
    }
    let mut target = shapes[0].to_vec();
    for shape in &shapes[1..] {
        target[axis] = node.sizes.add(target[axis], shape[axis]);
        for other in
            (0..rank).filter(|&other| other != axis && node.sizes.as_constant(shape[other]).is_some())
        {
            target[other] = shape[other];
        }
    }
    let state = joined_state(node, &values, axis, rank)?;
    if let State::Rows(rows) = state
        && rows.axis != axis
    {
        target[rows.axis] = rows.size(node.sizes);
    }
    let dims: Option<Vec<Vec<usize>>> = shapes.iter().map(|shape| node.small(shape)).collect();
    let elements = dims.zip(node.small(&target)).and_then(|(dims, out)| {
        let element = |mut index: Vec<usize>| {
            for (value, dims) in values.iter().zip(&dims) {
                if index[axis] < dims[axis] {
                    return value.contents.as_deref()?.get(contents::position(dims, &index)).copied();
                }
                index[axis] -= dims[axis];
            }
            None
        };
        contents::indices(&out).into_iter().map(element).collect()
    });
    Ok(vec![Value::shaped(target).with_type(first.data_type).with_contents(elements).with_state(state)])
}

fn joined_state(node: &mut Node<'_>, values: &[&Value], axis: usize, rank: usize) -> Result<State, Mixes> {
    if let State::Numbers(numbers) = values[0].state
        && numbers.is_plain()
        && let rows = numbers.axis
        && axis + 1 == rank
        && rows != axis
        && values[0].shape.as_ref().is_some_and(|shape| shape[axis] == Size::ONE)
        && values[1..].iter().all(|value| value.layout() == Some(Layout::plain(rows)))
    {
        return Ok(State::RowIndices { axis: rows });
    }
    if !values.iter().any(|value| value.layout().is_some()) {
        let all_free = values.iter().all(|value| value.is_free());
        return Ok(if all_free { State::Free } else { State::Count });
    }
    if values.iter().any(|value| !value.is_free() && value.layout().is_none()) {
        return Err(mixes("depends on the number of rows"));
    }
    let layouts: Option<Vec<Layout>> = values.iter().map(|value| value.layout()).collect();
    let layouts =
        layouts.ok_or_else(|| mixes("joins the rows with a tensor that is the same for all rows"))?;
    let mut rows = layouts[0];
    if rows.axis != axis {
        let same = layouts.iter().all(|&other| other == rows);
        return same.then_some(State::Rows(rows)).ok_or_else(|| mixes("joins rows of different axes"));
    }
    for other in &layouts[1..] {
        if other.axis != axis || other.inner != rows.inner {
            return Err(mixes("joins rows of different axes"));
        }
        rows.outer = node.sizes.add(rows.outer, other.outer);
    }
    Ok(State::Rows(rows))
}

/// The padding before and after each axis, in the order of the axes.
fn pads(node: &mut Node<'_>, rank: usize) -> Result<Vec<(Size, Size)>, Mixes> {
    let name = if attribute::find(node.proto, "paddings").is_some() { "paddings" } else { "pads" };
    let pads = node.numbers(name, 1)?.ok_or_else(|| mixes("lacks its pads"))?;
    let axes = node.axes(3, rank)?.unwrap_or_else(|| (0..rank).collect());
    let (before, after) = pads.split_at(pads.len() / 2);
    if before.len() != axes.len() || after.len() != axes.len() {
        return Err(mixes("has pads for other axes than its input has"));
    }
    let mut all = vec![(Size::ZERO, Size::ZERO); rank];
    for (index, &axis) in axes.iter().enumerate() {
        all[axis] = (before[index], after[index]);
    }
    Ok(all)
}

pub(crate) fn pad(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    node.free(2)?;
    let rows = value.layout();
    let mut target = shape.to_vec();
    for (axis, (before, after)) in pads(node, shape.len())?.into_iter().enumerate() {
        if rows.is_some_and(|rows| rows.axis == axis) {
            if (before, after) != (Size::ZERO, Size::ZERO) {
                return Err(mixes("pads the rows"));
            }
            continue;
        }
        if rows.is_some() && !(node.sizes.is_free(before) && node.sizes.is_free(after)) {
            return Err(mixes("pads by a number that depends on the number of rows"));
        }
        let longer = node.sizes.add(target[axis], before);
        target[axis] = node.sizes.add(longer, after);
    }
    Ok(vec![result(target, rows).with_type(value.data_type)])
}

fn center_crop_pad(node: &mut Node<'_>) -> Outcome {
    let shape = node.shape(0)?;
    let axes = match attribute::ints(node.proto, "axes") {
        Some(axes) => {
            axes.iter().map(|&axis| crate::rows::node::axis(axis, shape.len())).collect::<Result<_, _>>()?
        }
        None => (0..shape.len()).collect::<Vec<_>>(),
    };
    let wanted = node.contents(1).ok_or_else(|| mixes("makes a shape that the graph does not determine"))?;
    let mut target = shape.to_vec();
    for (&axis, &want) in axes.iter().zip(wanted) {
        if node.layout(0).is_some_and(|rows| rows.axis == axis) && want != shape[axis] {
            return Err(mixes("cuts or pads the rows"));
        }
        target[axis] = want;
    }
    Ok(vec![result(target, node.layout(0))])
}
