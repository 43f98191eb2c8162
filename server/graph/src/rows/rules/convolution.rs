//! Convolutions and pooling. The first axis is the batch, the second one the channels.

use super::{Entry, entry, matmul::result};
use crate::{
    proto::data_type,
    rows::{
        attribute,
        node::{Mixes, Node, Outcome, mixes},
        size::{Op, Size},
        value::{Layout, State},
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Conv" | "ConvInteger" => entry(|node| conv(node, 0, 1)),
        "ConvTranspose" => entry(transposed),
        "DeformConv" => entry(deformable),
        "MaxPool" => entry(max_pool),
        "AveragePool" | "LpPool" => entry(pool),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => entry(global_pool),
        "MaxUnpool" => entry(|_| Err(mixes("takes positions counted across the whole batch"))),
        "Col2Im" => entry(col2im).sizes(0b110).grows(0b110),
        "MaxRoiPool" | "RoiAlign" => entry(|_| Err(mixes("picks images by their numbers in the batch"))),
        _ => return None,
    })
}

/// The layout of an input with axes for batch and channels. Fails if the rows are not along the batch axis.
pub(crate) fn batch(node: &Node<'_>, input: usize) -> Result<Option<Layout>, Mixes> {
    let rows = node.layout(input);
    if node.shape(input)?.len() < 2 {
        return Err(mixes("has an input without an axis for channels"));
    }
    if rows.is_some_and(|rows| rows.axis != 0) {
        return Err(mixes("treats the axis of the rows as channels or positions of one image"));
    }
    Ok(rows)
}

pub(crate) fn conv(node: &mut Node<'_>, data: usize, weights: usize) -> Outcome {
    let kernels = kernels(node);
    if kernels.is_none() {
        node.others_free(&[data])?;
    }
    let rows = batch(node, data)?.or(kernels);
    let (shape, kernel) = (node.shape(data)?, node.value(weights)?.shape.clone());
    let mut target = vec![shape[0]];
    target.push(match kernel.as_deref() {
        Some([channels, ..]) => *channels,
        _ => node.fresh(),
    });
    for axis in 2..shape.len() {
        let kernel = kernel.as_deref().and_then(|kernel| kernel.get(axis)).copied();
        let dim = window(node, shape[axis], axis - 2, kernel);
        target.push(dim);
    }
    Ok(vec![result(target, rows)])
}

/// The layout of the output if the rows are in the weights: each row is one kernel with its bias, and gives one
/// channel.
fn kernels(node: &Node<'_>) -> Option<Layout> {
    let rows = node.layout(1).filter(|rows| rows.axis == 0)?;
    let plain = node.proto.op_type == "Conv" && node.int("group", 1) == 1 && node.optional(0)?.is_free();
    let biased = node.optional(2).is_none_or(|bias| bias.layout() == Some(rows));
    (plain && biased).then(|| rows.on(1))
}

/// The number of windows that fit along a spatial axis.
fn window(node: &mut Node<'_>, dim: Size, place: usize, kernel: Option<Size>) -> Size {
    let at = |name: &str, default: i64, place: usize| {
        attribute::ints(node.proto, name).and_then(|all| all.get(place)).copied().unwrap_or(default)
    };
    let (stride, dilation) = (at("strides", 1, place), at("dilations", 1, place));
    let given = attribute::ints(node.proto, "kernel_shape").and_then(|all| all.get(place)).copied();
    let kernel = given.or_else(|| kernel.and_then(|kernel| node.sizes.as_constant(kernel)));
    let spatial = attribute::ints(node.proto, "pads").map_or(0, |pads| pads.len() / 2);
    let pads = at("pads", 0, place).saturating_add(at("pads", 0, place + spatial));
    let plain = matches!(node.text("auto_pad"), "" | "NOTSET" | "VALID") && node.int("ceil_mode", 0) == 0;
    let (Some(kernel), true, true) = (kernel, plain, stride > 0) else { return node.fresh() };
    let covered = kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
    let more = node.sizes.constant(pads.saturating_sub(covered));
    let steps = node.sizes.add(dim, more);
    let stride = node.sizes.constant(stride);
    match node.sizes.quotient(steps, stride, false) {
        Some(steps) => node.sizes.add(steps, Size::ONE),
        None => node.sizes.opaque(Op::Div, steps, stride),
    }
}

/// An output with the rows of the first input, and unknown sizes of channels and spatial axes.
fn unknown_places(node: &mut Node<'_>) -> Outcome {
    let rows = batch(node, 0)?;
    let shape = node.shape(0)?;
    let mut target = vec![shape[0]];
    target.extend((1..shape.len()).map(|_| node.fresh()));
    Ok(vec![result(target, rows)])
}

pub(crate) fn transposed(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    unknown_places(node)
}

/// Deformable convolution. Each image has its own offsets and mask.
fn deformable(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 2, 4])?;
    for input in [2, 4] {
        if node.optional(input).is_some() && node.layout(input) != node.layout(0) {
            return Err(mixes("has offsets for other rows than those of its input"));
        }
    }
    unknown_places(node)
}

pub(crate) fn pool(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let (rows, shape) = (node.layout(0), node.shape(0)?);
    if shape.len() < 3 || rows.is_some_and(|rows| rows.axis > 1) {
        return Err(mixes("treats the rows as positions of one image"));
    }
    let mut target = shape[..2].to_vec();
    for axis in 2..shape.len() {
        let dim = window(node, shape[axis], axis - 2, None);
        target.push(dim);
    }
    Ok(vec![result(target, rows)])
}

/// The second output, indices into the whole batch, is left unknown.
fn max_pool(node: &mut Node<'_>) -> Outcome {
    let value = pool(node)?.swap_remove(0);
    let indices = value.clone().with_type(data_type::INT64).with_state(State::Free);
    Ok(vec![value, indices])
}

fn global_pool(node: &mut Node<'_>) -> Outcome {
    let (rows, shape) = (node.layout(0), node.shape(0)?);
    if shape.len() < 2 || rows.is_some_and(|rows| rows.axis > 1) {
        return Err(mixes("treats the rows as positions of one image"));
    }
    let mut target = vec![Size::ONE; shape.len()];
    target[..2].copy_from_slice(&shape[..2]);
    Ok(vec![result(target, rows)])
}

fn col2im(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let rows = batch(node, 0)?;
    let (batch, image) = (node.shape(0)?[0], node.contents(1).unwrap_or_default());
    let channels = node.fresh();
    Ok(vec![result([&[batch, channels], image].concat(), rows)])
}
