//! Operators that resize images.

use super::{Entry, convolution::batch, entry, matmul::result};
use crate::rows::{
    attribute,
    node::{self, Mixes, Node, Outcome, mixes},
    size::{Op, Size},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Resize" => entry(resize).sizes(0b1110).grows(0b1110),
        "Upsample" => entry(|node| scaled(node, 1, None)).sizes(0b10).grows(0b10),
        "GridSample" => entry(grid_sample),
        "AffineGrid" => entry(affine_grid).sizes(0b10).grows(0b10),
        _ => return None,
    })
}

fn resize(node: &mut Node<'_>) -> Outcome {
    if node.opset < 11 {
        return scaled(node, 1, None);
    }
    let rank = node.shape(0)?.len();
    let axes: Vec<usize> = match attribute::ints(node.proto, "axes") {
        Some(axes) => axes.iter().map(|&axis| node::axis(axis, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let on_rows = node.layout(0).is_some_and(|rows| axes.contains(&rows.axis));
    let keeps_places = matches!(
        node.text("coordinate_transformation_mode"),
        "" | "half_pixel" | "pytorch_half_pixel" | "align_corners" | "asymmetric" | "half_pixel_symmetric"
    );
    let stretches = matches!(node.text("keep_aspect_ratio_policy"), "" | "stretch");
    if on_rows && !(keeps_places && stretches) {
        return Err(mixes("moves the rows to other places"));
    }
    let has_sizes = node.optional(3).is_some_and(|sizes| sizes.shape.as_deref() != Some(&[Size::ZERO]));
    if !has_sizes {
        return scaled(node, 2, Some(axes));
    }
    let wanted = node.contents(3).ok_or_else(|| mixes("makes a shape that the graph does not determine"))?;
    let shape = node.shape(0)?;
    let mut target = shape.to_vec();
    for (&axis, &want) in axes.iter().zip(wanted) {
        check(node, axis, want == shape[axis])?;
        target[axis] = if stretches { want } else { node.fresh() };
    }
    Ok(vec![result(target, node.layout(0))])
}

fn check(node: &Node<'_>, axis: usize, same: bool) -> Result<(), Mixes> {
    if node.layout(0).is_some_and(|rows| rows.axis == axis) && !same {
        return Err(mixes("scales the axis of the rows"));
    }
    Ok(())
}

/// The scales are an attribute or an input.
fn scaled(node: &mut Node<'_>, input: usize, axes: Option<Vec<usize>>) -> Outcome {
    let shape = node.shape(0)?;
    let scales: Vec<Size> = match attribute::floats(node.proto, "scales") {
        Some(scales) => scales.iter().map(|&scale| node.sizes.float(scale)).collect(),
        None => node
            .contents(input)
            .ok_or_else(|| mixes("has scales that the graph does not determine"))?
            .to_vec(),
    };
    let axes = axes.unwrap_or_else(|| (0..shape.len()).collect());
    if scales.len() != axes.len() {
        return Err(mixes("has scales for other axes than its input has"));
    }
    let mut target = shape.to_vec();
    for (&axis, &scale) in axes.iter().zip(&scales) {
        check(node, axis, scale == Size::ONE)?;
        let scaled = node.sizes.mul(shape[axis], scale);
        target[axis] = node.sizes.round(scaled, Op::Floor);
    }
    Ok(vec![result(target, node.layout(0))])
}

/// Samples each image at its own grid of positions.
fn grid_sample(node: &mut Node<'_>) -> Outcome {
    let rows = batch(node, 0)?;
    let (shape, grid) = (node.shape(0)?, node.shape(1)?);
    if node.has_rows() && node.layout(1) != rows {
        return Err(mixes("has places for other rows than those of its input"));
    }
    let places = grid.get(1..grid.len().saturating_sub(1)).unwrap_or_default();
    Ok(vec![result([&shape[..2], places].concat(), rows)])
}

/// One grid for each matrix.
fn affine_grid(node: &mut Node<'_>) -> Outcome {
    let rows = node.layout(0);
    let wanted = node.contents(1).ok_or_else(|| mixes("makes a shape that the graph does not determine"))?;
    let batch = node.shape(0)?.first().copied();
    let (Some((&first, rest)), Some(batch)) = (wanted.split_first(), batch) else {
        return Err(mixes("has a scalar as input"));
    };
    if rows.is_some_and(|rows| rows.axis != 0) || (rows.is_some() && first != batch) {
        return Err(mixes("has a fixed number of rows written in its shape"));
    }
    let places = rest.get(1..).unwrap_or_default();
    let last = node.sizes.constant(i64::try_from(places.len()).unwrap_or(0));
    Ok(vec![result([&[batch], places, &[last]].concat(), rows)])
}
