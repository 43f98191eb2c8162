//! Operators that write elements at indices.

use super::{Entry, elementwise::like_first, entry, gather::side_by_side};
use crate::rows::{
    node::{Node, Outcome, mixes},
    value::Value,
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Scatter" | "ScatterElements" => entry(elements),
        "ScatterND" => entry(slices),
        "TensorScatter" => entry(cache),
        _ => return None,
    })
}

const FIXED: &str = "writes at places that are the same for all rows, and one of them may be a row";

fn elements(node: &mut Node<'_>) -> Outcome {
    let axis = node.axis(0, node.shape(0)?.len())?;
    if node.has_rows() {
        let values = [node.value(0)?, node.value(1)?, node.value(2)?];
        let rows = side_by_side(&values).ok_or_else(|| mixes(FIXED))?;
        if rows.axis == axis {
            return Err(mixes("writes to rows that the values name"));
        }
    }
    like_first(node)
}

fn slices(node: &mut Node<'_>) -> Outcome {
    if !node.has_rows() {
        return like_first(node);
    }
    let places = node.shape(1)?;
    let rank = node.shape(0)?.len();
    let deep = places.last().and_then(|&deep| node.sizes.as_constant(deep));
    let deep = deep.and_then(|deep| usize::try_from(deep).ok()).filter(|&deep| deep <= rank);
    let deep = deep.ok_or_else(|| mixes("has indices of unknown length"))?;
    let (Some(rows), Some(updates)) = (node.layout(0), node.layout(2)) else { return Err(mixes(FIXED)) };
    if node.layout(1).is_some() || rows.axis < deep {
        return Err(mixes("writes to rows that the values name"));
    }
    let expected = rows.on(places.len() - 1 + rows.axis - deep);
    if updates != expected {
        return Err(mixes("writes the rows of one input to other rows of the other"));
    }
    like_first(node)
}

/// A cache of keys or values. Each row has its own write index.
fn cache(node: &mut Node<'_>) -> Outcome {
    let values: Vec<&Value> = node.inputs.iter().flatten().collect();
    let axis = node.axis(-2, node.shape(0)?.len())?;
    if node.has_rows() {
        let rows = side_by_side(&values).ok_or_else(|| mixes(FIXED))?;
        if rows.axis != 0 || axis == 0 {
            return Err(mixes("writes to rows that the values name"));
        }
    }
    like_first(node)
}
