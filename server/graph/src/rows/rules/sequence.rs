//! Sequences of tensors whose length is known.

use super::{Entry, entry, slice};
use crate::{
    proto::data_type,
    rows::{
        node::{Mixes, Node, Outcome, mixes},
        size::Size,
        value::{Layout, State, Value},
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "SequenceConstruct" => entry(construct).any_state(),
        "SequenceEmpty" => entry(|_| Ok(vec![sequence(Vec::new())])),
        "SequenceAt" => entry(at).any_state(),
        "SequenceInsert" => entry(insert).any_state(),
        "SequenceErase" => entry(erase).any_state(),
        "SequenceLength" => entry(length).shape_only(),
        "SplitToSequence" => entry(split).sizes(0b10),
        "ConcatFromSequence" => entry(concat).any_state(),
        _ => return None,
    })
}

/// Longest sequence that the analysis follows.
const MAX_LENGTH: usize = 256;

/// Fails for a sequence of sequences, because a file could nest them to any depth.
fn only_tensors(values: &[Value]) -> Result<(), Mixes> {
    if values.iter().any(|value| value.elements.is_some()) {
        Err(mixes("puts a sequence into a sequence"))
    } else {
        Ok(())
    }
}

/// A sequence of these tensors. Each tensor has its own state and row axis.
fn sequence(elements: Vec<Value>) -> Value {
    let state = if elements.iter().any(|value| value.layout().is_some()) {
        State::Rows(Layout::plain(0))
    } else if elements.iter().all(Value::is_free) {
        State::Free
    } else {
        State::Count
    };
    Value { elements: Some(elements.into()), ..Value::unknown() }.with_state(state)
}

fn elements(node: &Node<'_>) -> Result<Vec<Value>, Mixes> {
    let found = node.value(0)?.elements.as_deref().filter(|elements| elements.len() <= MAX_LENGTH);
    found.map(<[Value]>::to_vec).ok_or_else(|| mixes("has a sequence of unknown length"))
}

/// The position in a sequence that an input gives.
fn position(node: &Node<'_>, input: usize, length: usize) -> Result<usize, Mixes> {
    let unknown = || mixes("has a position that the graph does not determine");
    let &[position] = node.contents(input).ok_or_else(unknown)? else { return Err(unknown()) };
    let position = node.sizes.as_constant(position).ok_or_else(unknown)?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let position = if position < 0 { position.saturating_add(length) } else { position };
    usize::try_from(position).map_err(|_| unknown())
}

fn construct(node: &mut Node<'_>) -> Outcome {
    let elements: Vec<Value> = node.inputs.iter().flatten().cloned().collect();
    only_tensors(&elements)?;
    Ok(vec![sequence(elements)])
}

fn at(node: &mut Node<'_>) -> Outcome {
    let elements = elements(node)?;
    let position = position(node, 1, elements.len())?;
    let element = elements.get(position).cloned();
    Ok(vec![element.ok_or_else(|| mixes("has a position past the end of its sequence"))?])
}

fn insert(node: &mut Node<'_>) -> Outcome {
    let mut elements = elements(node)?;
    let place = match node.optional(2) {
        Some(_) => position(node, 2, elements.len())?,
        None => elements.len(),
    };
    if place > elements.len() {
        return Err(mixes("has a position past the end of its sequence"));
    }
    elements.insert(place, node.value(1)?.clone());
    only_tensors(&elements)?;
    Ok(vec![sequence(elements)])
}

fn erase(node: &mut Node<'_>) -> Outcome {
    let mut elements = elements(node)?;
    let place = match node.optional(1) {
        Some(_) => position(node, 1, elements.len())?,
        None => elements.len().saturating_sub(1),
    };
    if place >= elements.len() {
        return Err(mixes("has a position past the end of its sequence"));
    }
    elements.remove(place);
    Ok(vec![sequence(elements)])
}

fn length(node: &mut Node<'_>) -> Outcome {
    let length = i64::try_from(elements(node)?.len()).unwrap_or(i64::MAX);
    let length = node.sizes.constant(length);
    Ok(vec![Value::shaped([]).with_type(data_type::INT64).with_contents(Some(vec![length]))])
}

fn split(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let axis = node.axis(0, shape.len())?;
    if value.layout().is_some_and(|rows| rows.axis == axis) {
        return Err(mixes("splits the rows"));
    }
    let known = |size: Size| node.sizes.as_constant(size);
    let unknown = || mixes("splits into a number of tensors that the graph does not determine");
    let keeps = node.optional(1).is_some() || node.int("keepdims", 1) != 0;
    let parts: Vec<i64> = if let Some(split) = node.optional(1) {
        let parts: Vec<i64> = split
            .contents
            .as_deref()
            .and_then(|p| p.iter().map(|&p| known(p)).collect())
            .ok_or_else(unknown)?;
        match (parts.as_slice(), split.rank()) {
            (&[part], Some(0)) if part > 0 => {
                let whole = known(shape[axis]).ok_or_else(unknown)?;
                let count = usize::try_from(whole / part).unwrap_or(MAX_LENGTH).min(MAX_LENGTH + 1);
                let rest = (whole % part != 0).then_some(whole % part);
                std::iter::repeat_n(part, count).chain(rest).collect()
            }
            _ => parts,
        }
    } else {
        let count = known(shape[axis]).and_then(|dim| usize::try_from(dim).ok()).ok_or_else(unknown)?;
        vec![1; count.min(MAX_LENGTH + 1)]
    };
    if parts.len() > MAX_LENGTH {
        return Err(unknown());
    }
    let mut outputs = Vec::with_capacity(parts.len());
    for part in parts {
        let mut target = shape.to_vec();
        let mut rows = value.layout();
        if keeps {
            target[axis] = node.sizes.constant(part);
        } else {
            target.remove(axis);
            rows = rows.map(|rows| rows.on(rows.axis - usize::from(axis < rows.axis)));
        }
        outputs.push(super::matmul::result(target, rows).with_type(value.data_type));
    }
    Ok(vec![sequence(outputs)])
}

fn concat(node: &mut Node<'_>) -> Outcome {
    let mut elements = elements(node)?;
    if node.int("new_axis", 0) != 0 {
        for value in &mut elements {
            let mut shape =
                value.shape.as_deref().ok_or_else(|| mixes("has an input of unknown rank"))?.to_vec();
            let axis = node.axis(0, shape.len() + 1)?;
            shape.insert(axis, Size::ONE);
            let state = match value.state {
                State::Rows(rows) => State::Rows(rows.on(rows.axis + usize::from(axis <= rows.axis))),
                State::Free => State::Free,
                _ => State::Count,
            };
            *value = Value::shaped(shape).with_type(value.data_type).with_state(state);
        }
    }
    let elements: Vec<Option<Value>> = elements.into_iter().map(Some).collect();
    slice::concat(node, &elements)
}
