//! Operators that select elements by index.

use super::{Entry, entry, matmul::result};
use crate::rows::{
    contents,
    node::{Node, Outcome, mixes},
    size::Size,
    value::{Layout, Numbers, State, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Gather" => entry(gather).any_state(),
        "GatherElements" => entry(gather_elements),
        "GatherND" => entry(gather_nd).any_state(),
        "Compress" => entry(compress),
        _ => return None,
    })
}

const PICKS: &str = "picks rows out of the batch";
const PLACE: &str = "indexes a tensor that is the same for all rows by the positions of the rows";

fn gather(node: &mut Node<'_>) -> Outcome {
    let (data, indices) = (node.value(0)?, node.value(1)?);
    let (shape, places) = (node.shape(0)?, node.shape(1)?);
    let axis = node.axis(0, shape.len())?;
    let target = [&shape[..axis], places, &shape[axis + 1..]].concat();
    if let (Some(rows), State::Numbers(numbers)) = (data.layout(), indices.state) {
        let own = own_element(node, rows, numbers) && rows.axis == axis;
        let own = own.then(|| Layout::plain(axis + numbers.axis));
        let own = own.ok_or_else(|| mixes("picks rows by their numbers"))?;
        return Ok(vec![Value::rows(target, own).with_type(data.data_type)]);
    }
    node.refuse_counts()?;
    let rows = match (data.layout(), indices.layout()) {
        (Some(_), Some(_)) => return Err(mixes("picks elements for each row out of all rows")),
        (Some(rows), None) if rows.axis == axis => return Err(mixes(PICKS)),
        (Some(rows), None) if rows.axis < axis => Some(rows),
        (Some(rows), None) => Some(rows.on(rows.axis - 1 + places.len())),
        (None, Some(rows)) => Some(rows.on(axis + rows.axis)),
        (None, None) => None,
    };
    let elements = picked(node, data, indices, axis, &target);
    let state = node.state_of(rows);
    Ok(vec![Value::shaped(target).with_type(data.data_type).with_contents(elements).with_state(state)])
}

/// Whether the indices of each row point at its own elements only. Each row has `inner` elements along the axis.
fn own_element(node: &mut Node<'_>, rows: Layout, numbers: Numbers) -> bool {
    let within = node.sizes.less(numbers.step, numbers.bound) == Some(false);
    rows.outer == Size::ONE && rows.inner == numbers.step && within
}

fn picked(node: &Node<'_>, data: &Value, indices: &Value, axis: usize, target: &[Size]) -> Option<Vec<Size>> {
    let (elements, from) = (data.contents.as_deref()?, node.small(data.shape.as_deref()?)?);
    let (places, place_dims) = (indices.contents.as_deref()?, node.small(indices.shape.as_deref()?)?);
    let length = i64::try_from(*from.get(axis)?).ok()?;
    let element = |index: Vec<usize>| {
        let (before, rest) = index.split_at(axis);
        let (place, after) = rest.split_at(place_dims.len());
        let place = node.sizes.as_constant(*places.get(contents::position(&place_dims, place))?)?;
        let place = usize::try_from(if place < 0 { place + length } else { place }).ok()?;
        let source = [before, &[place], after].concat();
        (place < from[axis]).then(|| elements.get(contents::position(&from, &source)).copied())?
    };
    contents::indices(&node.small(target)?).into_iter().map(element).collect()
}

/// The layout, if all values have rows with the same axis and the same layout.
pub(crate) fn side_by_side(values: &[&Value]) -> Option<Layout> {
    let first = values.first()?.layout()?;
    values.iter().all(|value| value.layout() == Some(first)).then_some(first)
}

fn gather_elements(node: &mut Node<'_>) -> Outcome {
    let (data, indices) = (node.value(0)?, node.value(1)?);
    let axis = node.axis(0, node.shape(0)?.len())?;
    let shape = node.shape(1)?.to_vec();
    if !node.has_rows() {
        return Ok(vec![Value::shaped(shape).with_type(data.data_type)]);
    }
    let along = indices.layout().filter(|rows| rows.axis == axis && data.is_free());
    let rows = match along {
        // along the axis of the indices, rows select by value and not by position
        Some(rows) => rows,
        None => side_by_side(&[data, indices]).ok_or_else(|| mixes(PLACE))?,
    };
    if rows.axis == axis && along.is_none() {
        return Err(mixes(PICKS));
    }
    Ok(vec![Value::rows(shape, rows).with_type(data.data_type)])
}

fn gather_nd(node: &mut Node<'_>) -> Outcome {
    let (data, indices) = (node.value(0)?, node.value(1)?);
    let (shape, places) = (node.shape(0)?, node.shape(1)?);
    let batch = usize::try_from(node.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let (&deep, lead) = places.split_last().ok_or_else(|| mixes("has a scalar for indices"))?;
    let deep = node.sizes.as_constant(deep).and_then(|deep| usize::try_from(deep).ok());
    let first = deep.and_then(|deep| deep.checked_add(batch)).filter(|&first| first <= shape.len());
    let first = first.ok_or_else(|| mixes("has indices of unknown length"))?;
    let target = [lead, &shape[first..]].concat();
    if matches!(data.state, State::Numbers(_) | State::RowIndices { .. } | State::Count) {
        return Err(mixes("depends on the number of rows"));
    }
    let rows = match (data.layout(), indices.state) {
        // data[arange(rows), …]: each row selects from its own row of the data
        (Some(rows), State::RowIndices { axis }) if batch == 0 && rows == Layout::plain(0) => {
            Layout::plain(axis)
        }
        (_, State::RowIndices { .. } | State::Numbers(_) | State::Count) => {
            return Err(mixes("picks rows by their numbers"));
        }
        (Some(rows), State::Rows(of_indices)) if rows == of_indices && rows.axis < batch => rows,
        (Some(_), State::Rows(_)) => return Err(mixes("picks elements for each row out of all rows")),
        (None, State::Rows(rows)) if rows.axis < batch => return Err(mixes(PLACE)),
        (None, State::Rows(rows)) if rows.axis + 1 < places.len() => rows,
        (None, State::Rows(_)) => return Err(mixes("treats the rows as indices")),
        (Some(rows), _) if rows.axis < batch => return Err(mixes(PLACE)),
        (Some(rows), _) if rows.axis < first => return Err(mixes(PICKS)),
        (Some(rows), _) => rows.on(lead.len() + rows.axis - first),
        (None, _) => return Ok(vec![Value::shaped(target).with_type(data.data_type)]),
    };
    Ok(vec![Value::rows(target, rows).with_type(data.data_type)])
}

/// Keeps the elements along an axis for which the condition holds.
fn compress(node: &mut Node<'_>) -> Outcome {
    let shape = node.shape(0)?;
    if crate::rows::attribute::find(node.proto, "axis").is_none() {
        node.others_free(&[])?;
        return Ok(vec![Value::shaped([node.fresh()])]);
    }
    let axis = node.axis(0, shape.len())?;
    if node.layout(1).is_some() || node.layout(0).is_some_and(|rows| rows.axis == axis) {
        return Err(mixes("keeps some of the rows"));
    }
    let mut target = shape.to_vec();
    target[axis] = node.fresh();
    Ok(vec![result(target, node.layout(0))])
}
