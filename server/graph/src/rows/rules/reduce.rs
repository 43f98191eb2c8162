//! Sums, means, minima and maxima over axes.

use super::{Entry, entry, matmul::result};
use crate::{
    proto::data_type,
    rows::{
        node::{Node, Outcome, mixes},
        size::Size,
        value::Value,
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean"
        | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => entry(reduce).sizes(0b10),
        "ArgMax" | "ArgMin" => entry(extreme),
        "TopK" => entry(top_k).sizes(0b10),
        _ => return None,
    })
}

pub(crate) const OVER_ROWS: &str = "reduces over the rows";

pub(crate) fn reduce(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let axes = match node.axes(1, shape.len())? {
        Some(axes) if !axes.is_empty() => axes,
        _ if node.int("noop_with_empty_axes", 0) != 0 => Vec::new(),
        _ => (0..shape.len()).collect(),
    };
    let outputs = over(node, &axes, node.int("keepdims", 1) != 0)?;
    let total = product(node, value, &outputs[0]);
    Ok(outputs
        .into_iter()
        .map(|output| output.with_type(value.data_type).with_contents(total.clone()))
        .collect())
}

/// The product of the elements of a small tensor. Graphs compute the number of elements of a shape in this way.
fn product(node: &mut Node<'_>, value: &Value, output: &Value) -> Option<Vec<Size>> {
    let whole = matches!(node.proto.op_type.as_str(), "ReduceProd") && value.data_type == data_type::INT64;
    let single = output.shape.as_deref().is_some_and(|shape| shape.iter().all(|&dim| dim == Size::ONE));
    let elements = value.contents.as_deref().filter(|_| whole && single)?;
    Some(vec![node.sizes.product(elements)])
}

/// The output of a reduction over these axes. `keeps` says whether they stay, with size 1.
pub(crate) fn over(node: &mut Node<'_>, axes: &[usize], keeps: bool) -> Outcome {
    let shape = node.shape(0)?;
    let rows = node.layout(0);
    if rows.is_some_and(|rows| axes.contains(&rows.axis)) {
        return Err(mixes(OVER_ROWS));
    }
    if keeps {
        let target: Vec<Size> = shape
            .iter()
            .enumerate()
            .map(|(axis, &dim)| if axes.contains(&axis) { Size::ONE } else { dim })
            .collect();
        return Ok(vec![result(target, rows)]);
    }
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let rows = rows.map(|rows| rows.on(kept.iter().filter(|&&axis| axis < rows.axis).count()));
    Ok(vec![result(kept.iter().map(|&axis| shape[axis]).collect(), rows)])
}

fn extreme(node: &mut Node<'_>) -> Outcome {
    let axis = node.axis(0, node.shape(0)?.len())?;
    let bound = node.shape(0)?.get(axis).copied();
    let outputs = over(node, &[axis], node.int("keepdims", 1) != 0);
    let outputs = outputs.map_err(|_| mixes("compares the rows with one another"))?;
    Ok(outputs.into_iter().map(|output| Value { bound, ..output.with_type(data_type::INT64) }).collect())
}

fn top_k(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let axis = node.axis(-1, shape.len())?;
    if value.layout().is_some_and(|rows| rows.axis == axis) {
        return Err(mixes("compares the rows with one another"));
    }
    let mut target = shape.to_vec();
    let attribute = crate::rows::attribute::int(node.proto, "k");
    target[axis] = match (attribute, node.contents(1)) {
        (Some(count), _) => node.sizes.constant(count),
        (None, Some(&[count])) => count,
        _ => node.fresh(),
    };
    if value.layout().is_some() && node.optional(1).is_some_and(|count| !count.is_free()) {
        return Err(mixes("keeps a number of elements that depends on the batch"));
    }
    let values = result(target.clone(), value.layout()).with_type(value.data_type);
    Ok(vec![values, result(target, value.layout()).with_type(data_type::INT64)])
}
