//! Operators that compute along axes and keep the shape.

use super::{Entry, elementwise::like_first, entry, matmul::result};
use crate::rows::{
    attribute,
    broadcast::broadcast,
    node::{self, Mixes, Node, Outcome, mixes},
    size::Size,
    value::Value,
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Softmax" | "LogSoftmax" | "Hardmax" => entry(softmax),
        "LpNormalization" => entry(|node| along(node, -1, "normalises over the rows")),
        "CumSum" | "CumProd" => entry(cumulative),
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => entry(layer),
        "InstanceNormalization" | "GroupNormalization" => entry(first_axis),
        "MeanVarianceNormalization" => entry(mean_variance),
        "BatchNormalization" => entry(batch),
        "LRN" => entry(lrn),
        "NegativeLogLikelihoodLoss" | "SoftmaxCrossEntropyLoss" => entry(loss),
        _ => return None,
    })
}

const OVER_ROWS: &str = "normalises over the rows";

fn softmax(node: &mut Node<'_>) -> Outcome {
    if node.opset >= 13 {
        return along(node, -1, OVER_ROWS);
    }
    // before opset 13, all axes from this one on are normalised together
    from_axis(node, 1, OVER_ROWS)?;
    like_first(node)
}

/// The operator works along the axis that the attribute gives, which must not be the row axis.
fn along(node: &mut Node<'_>, default: i64, reason: &'static str) -> Outcome {
    let axis = node.axis(default, node.shape(0)?.len())?;
    if node.layout(0).is_some_and(|rows| rows.axis == axis) {
        return Err(mixes(reason));
    }
    like_first(node)
}

/// The operator works on all axes from the attribute's axis on. The row axis must be before it.
pub(crate) fn from_axis(node: &mut Node<'_>, default: i64, reason: &'static str) -> Result<usize, Mixes> {
    let axis = node.axis(default, node.shape(0)?.len())?;
    if node.layout(0).is_some_and(|rows| rows.axis >= axis) { Err(mixes(reason)) } else { Ok(axis) }
}

fn cumulative(node: &mut Node<'_>) -> Outcome {
    let rank = node.shape(0)?.len();
    node.others_free(&[0])?;
    let axis = match node.contents(1) {
        Some(&[axis]) => node.axis_of(axis, rank)?,
        _ => return Err(mixes("has an axis that the graph does not determine")),
    };
    if node.layout(0).is_some_and(|rows| rows.axis == axis) {
        return Err(mixes("sums up over the rows"));
    }
    like_first(node)
}

/// Normalises over all axes from one on. Further outputs are means, with size 1 along these axes.
pub(crate) fn layer(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let axis = from_axis(node, -1, OVER_ROWS)?;
    let rows = value.layout();
    let shape = node.shape(0)?;
    let mut operands = vec![(&shape[..], rows)];
    for weights in [1, 2] {
        if let Some(value) = node.optional(weights) {
            operands.push((node.shape(weights)?, value.layout()));
        }
    }
    if rows.is_some() {
        // the scale may have more axes than are normalised
        broadcast(node.sizes, &operands)?;
    } else if node.has_rows() {
        return Err(mixes("takes weights from the rows"));
    }
    let mut means = shape.to_vec();
    means[axis..].fill(Size::ONE);
    let means = result(means, rows);
    let like = result(shape.to_vec(), rows).with_type(value.data_type);
    Ok((0..node.proto.output.len())
        .map(|output| if output == 0 { like.clone() } else { means.clone() })
        .collect())
}

/// Treats each element of the first axis separately.
pub(crate) fn first_axis(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    if node.layout(0).is_some_and(|rows| rows.axis != 0) {
        return Err(mixes(OVER_ROWS));
    }
    like_first(node)
}

fn mean_variance(node: &mut Node<'_>) -> Outcome {
    let rank = node.shape(0)?.len();
    let axes = attribute::ints(node.proto, "axes").unwrap_or(&[0, 2, 3]);
    for &axis in axes {
        let axis = node::axis(axis, rank)?;
        if node.layout(0).is_some_and(|rows| rows.axis == axis) {
            return Err(mixes("normalises over the batch"));
        }
    }
    like_first(node)
}

/// Batch normalisation. In training mode it uses the statistics of the batch, which mixes rows.
fn batch(node: &mut Node<'_>) -> Outcome {
    let trains = match node.opset {
        ..7 => node.int("is_test", 0) == 0,
        7..14 => node.proto.output.iter().skip(1).any(|output| !output.is_empty()),
        _ => node.int("training_mode", 0) != 0,
    };
    node.others_free(&[0])?;
    if trains && node.has_rows() {
        return Err(mixes("normalises by statistics of the batch: the model was exported in training mode"));
    }
    if node.opset < 9 && node.int("spatial", 1) == 0 && node.layout(0).is_some_and(|rows| rows.axis != 0) {
        return Err(mixes(OVER_ROWS));
    }
    if node.layout(0).is_some_and(|rows| rows.axis == 1) {
        return Err(mixes("treats the rows as channels"));
    }
    let mut outputs = like_first(node)?;
    outputs.resize(node.proto.output.len().max(1), Value::unknown());
    Ok(outputs)
}

fn lrn(node: &mut Node<'_>) -> Outcome {
    if node.layout(0).is_some_and(|rows| rows.axis == 1) {
        return Err(mixes("treats the rows as channels"));
    }
    like_first(node)
}

/// The loss of each element. Sums and means of it are over the batch, which mixes rows.
fn loss(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1])?;
    if !node.has_rows() {
        return Ok(node.repeat(&Value::unknown()));
    }
    if node.text("reduction") != "none" {
        return Err(mixes("reduces the loss over the batch"));
    }
    let rows = node.layout(0).filter(|rows| rows.axis != 1 && node.layout(1).is_some());
    let rows = rows.ok_or_else(|| mixes("compares the rows with a tensor that is the same for all rows"))?;
    let of_labels = rows.on(if rows.axis == 0 { 0 } else { rows.axis - 1 });
    if node.layout(1) != Some(of_labels) {
        return Err(mixes("lines up the rows of one input with another axis of the other"));
    }
    Ok(vec![Value::rows(node.shape(1)?.clone(), of_labels), Value::rows(node.shape(0)?.clone(), rows)])
}
