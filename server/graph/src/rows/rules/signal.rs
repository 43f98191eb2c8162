//! Signal processing, and attention.

use super::{Entry, elementwise, entry, matmul::result};
use crate::rows::{
    broadcast::broadcast,
    node::{Node, Outcome, mixes},
    value::Value,
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "DFT" => entry(dft).sizes(0b10).grows(0b10),
        "STFT" => entry(stft).sizes(0b1010).grows(0b1010),
        "HannWindow" | "HammingWindow" | "BlackmanWindow" => {
            entry(|_| Ok(vec![Value::unknown()])).sizes(1).grows(1)
        }
        "MelWeightMatrix" => entry(|_| Ok(vec![Value::unknown()])).grows(0b11),
        "RotaryEmbedding" => entry(rotary),
        "Attention" => entry(attention),
        "LinearAttention" => entry(|node| stateful(node, &[0, 1, 2, 3, 4, 5], 3)),
        "CausalConvWithState" => entry(|node| stateful(node, &[0, 3], 2)),
        _ => return None,
    })
}

/// Fourier transform along an axis. The last axis holds the real and imaginary parts.
fn dft(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let shape = node.shape(0)?;
    let axis = if node.opset < 20 {
        node.axis(1, shape.len())?
    } else {
        match node.optional(2) {
            None => crate::rows::node::axis(-2, shape.len())?,
            Some(_) => match node.contents(2) {
                Some(&[axis]) => node.axis_of(axis, shape.len())?,
                _ => return Err(mixes("has an axis that the graph does not determine")),
            },
        }
    };
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis == axis || rows.axis + 1 == shape.len()) {
        return Err(mixes("transforms along the rows"));
    }
    let mut target = shape.to_vec();
    target[axis] = node.fresh();
    if let Some(last) = target.last_mut() {
        *last = node.fresh();
    }
    Ok(vec![result(target, rows)])
}

fn stft(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let shape = node.shape(0)?;
    let rows = node.layout(0);
    let Some(&batch) = shape.first() else { return Err(mixes("has a scalar as input")) };
    if rows.is_some_and(|rows| rows.axis != 0 || shape.len() < 2) {
        return Err(mixes("transforms along the rows"));
    }
    Ok(vec![result(vec![batch, node.fresh(), node.fresh(), node.fresh()], rows)])
}

/// Rotary embedding: rotates pairs of elements by the angle of their position.
fn rotary(node: &mut Node<'_>) -> Outcome {
    let rows = node.layout(0);
    if !node.has_rows() {
        return elementwise::like_first(node);
    }
    let rows =
        rows.filter(|rows| rows.axis == 0).ok_or_else(|| mixes("rotates the rows by their positions"))?;
    let rank_of_tables = if node.optional(3).is_some() { 2 } else { 3 };
    for table in [1, 2] {
        let shape = node.shape(table)?;
        let fits = match node.layout(table) {
            Some(layout) => layout == rows && shape.len() == 3 && rank_of_tables == 3,
            None => rank_of_tables == 2 && shape.len() == 2,
        };
        if !fits {
            return Err(mixes("has angles for a fixed number of rows"));
        }
    }
    if node.optional(3).is_some() && node.layout(3) != Some(rows) {
        return Err(mixes("has positions for a fixed number of rows"));
    }
    elementwise::like_first(node)
}

/// Attention. The queries of each row attend to the keys of the same row.
fn attention(node: &mut Node<'_>) -> Outcome {
    let (query, value) = (node.shape(0)?, node.shape(2)?);
    let rank = query.len();
    if !matches!(rank, 3 | 4) || value.len() != rank {
        return Err(mixes("has inputs of other ranks than 3 or 4"));
    }
    let rows = node.layout(0);
    for input in [0, 1, 2, 4, 5, 6] {
        let Some(given) = node.optional(input) else { continue };
        if given.layout() != rows || rows.is_some_and(|rows| rows.axis != 0) {
            return Err(mixes("lets the rows of one input attend to other rows of the other"));
        }
    }
    if node.optional(3).is_some() {
        let mask = node.shape(3)?;
        let scores = [query[0], node.fresh(), node.fresh(), node.fresh()];
        let (_, joined) = broadcast(node.sizes, &[(&scores, rows), (mask, node.layout(3))])?;
        if joined != rows {
            return Err(mixes("has a mask for other rows than those of its input"));
        }
    }
    let mut target = query.to_vec();
    target[rank - 1] = node.fresh();
    let cache = |node: &mut Node<'_>| {
        let shape = vec![query[0], node.fresh(), node.fresh(), node.fresh()];
        result(shape, rows)
    };
    let mut outputs = vec![result(target, rows)];
    for _ in 1..node.proto.output.len() {
        outputs.push(cache(node));
    }
    Ok(outputs)
}

/// An operator on steps of sequences, with the batch axis first and one state per row. The size of axis `widest` of the
/// output is not that of the input.
fn stateful(node: &mut Node<'_>, batched: &[usize], widest: usize) -> Outcome {
    node.others_free(batched)?;
    let rows = node.layout(0);
    for &input in batched {
        if node.optional(input).is_some()
            && (node.layout(input) != rows || rows.is_some_and(|rows| rows.axis != 0))
        {
            return Err(mixes("continues the states of other rows"));
        }
    }
    let mut shape = node.shape(0)?.to_vec();
    let Some(&batch) = shape.first() else { return Err(mixes("has a scalar as input")) };
    if widest == shape.len() {
        shape[widest - 1] = node.fresh();
    }
    let mut state = vec![batch, node.fresh(), node.fresh()];
    if widest == 3 {
        state.push(node.fresh());
    }
    Ok(vec![result(shape, rows), result(state, rows)])
}
