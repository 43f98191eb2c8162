//! Recurrent networks. The sequences of a batch are independent.

use super::{Entry, entry, matmul::result};
use crate::rows::{
    node::{Node, Outcome, mixes},
    size::Size,
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "RNN" | "GRU" | "LSTM" => entry(recurrent),
        _ => return None,
    })
}

fn recurrent(node: &mut Node<'_>) -> Outcome {
    let batch_first = node.int("layout", 0) != 0;
    let shape = node.shape(0)?;
    let &[first, second, _] = &shape[..] else {
        return Err(mixes("has an input that is no batch of sequences"));
    };
    let (length, batch, axis) = if batch_first { (second, first, 0) } else { (first, second, 1) };
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis != axis) {
        return Err(mixes("goes through the rows one after another, as steps of a sequence"));
    }
    node.others_free(&[0, 4, 5, 6])?;
    let state_axis = usize::from(!batch_first);
    for (input, axis) in [(4, 0), (5, state_axis), (6, state_axis)] {
        if node.optional(input).is_some() && node.layout(input) != rows.map(|rows| rows.on(axis)) {
            return Err(mixes("starts from a state, or has lengths, for other rows than those of its input"));
        }
    }
    let directions = node.sizes.constant(if node.text("direction") == "bidirectional" { 2 } else { 1 });
    let hidden = match node.int("hidden_size", 0) {
        0 => node.fresh(),
        hidden => node.sizes.constant(hidden),
    };
    let (all, all_axis, last): (Vec<Size>, usize, Vec<Size>) = if batch_first {
        (vec![batch, length, directions, hidden], 0, vec![batch, directions, hidden])
    } else {
        (vec![length, directions, batch, hidden], 2, vec![directions, batch, hidden])
    };
    let all = result(all, rows.map(|rows| rows.on(all_axis)));
    let last = result(last, rows.map(|rows| rows.on(state_axis)));
    Ok(vec![all, last.clone(), last])
}
