//! Operators on quantised integers, which have scales and zero points.

use super::{Entry, convolution, elementwise::like_first, entry, matmul};
use crate::rows::{
    broadcast::broadcast,
    node::{Mixes, Node, Outcome, mixes},
    size::Size,
    value::{Layout, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "QuantizeLinear" | "DequantizeLinear" => entry(linear),
        "DynamicQuantizeLinear" => entry(|_| Err(mixes(DYNAMIC))),
        "QLinearConv" => entry(|node| convolution::conv(node, 0, 3)),
        "MatMulInteger" => entry(matmul_integer),
        "QLinearMatMul" => entry(|node| {
            node.others_free(&[0, 3])?;
            scaled_product(node, 0, 3)
        }),
        _ => return None,
    })
}

pub(crate) const DYNAMIC: &str = "takes its scale from the whole batch";

/// The scale is one number, or one for each position along an axis that is not the row axis.
fn linear(node: &mut Node<'_>) -> Outcome {
    let shape = node.shape(0)?;
    let Some(rows) = node.layout(0) else {
        return if node.has_rows() { Err(mixes("takes its scale from the rows")) } else { like_first(node) };
    };
    for input in [1, 2] {
        let Some(value) = node.optional(input) else { continue };
        let scale = node.shape(input)?;
        if scale.iter().all(|&dim| dim == Size::ONE) && value.is_free() {
            continue;
        }
        let axis = node.axis(1, shape.len())?;
        let for_each_row = value.layout() == Some(Layout { axis: 0, ..rows }) && scale.len() == 1;
        let elsewhere = value.is_free() && scale.len() == 1 && axis != rows.axis;
        if !(elsewhere || (for_each_row && axis == rows.axis)) {
            return Err(mixes("has a scale for each of a fixed number of rows"));
        }
    }
    let target = node.shape(0)?.to_vec();
    Ok(vec![Value::rows(target, rows)])
}

/// Integer matrix product. A zero point per row of the left matrix would belong to a fixed number of rows.
fn matmul_integer(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1])?;
    single(node, 2, 0)?;
    single(node, 3, 1)?;
    matmul::matmul(node)
}

/// Fails unless the scale or zero point is one number or the matrix has no rows.
pub(crate) fn single(node: &Node<'_>, scale: usize, matrix: usize) -> Result<(), Mixes> {
    if node.optional(scale).is_none() || node.layout(matrix).is_none() {
        return Ok(());
    }
    if node.shape(scale)?.iter().all(|&dim| dim == Size::ONE) {
        return Ok(());
    }
    Err(mixes("has a scale for each of a fixed number of rows"))
}

/// A product of matrices. Each is followed by its scale and zero point.
pub(crate) fn scaled_product(node: &mut Node<'_>, left: usize, right: usize) -> Outcome {
    for (matrix, numbers) in [(left, [left + 1, left + 2]), (right, [right + 1, right + 2])] {
        for number in numbers {
            single(node, number, matrix)?;
        }
    }
    let (shape, rows) = matmul::product(node, left, right)?;
    Ok(vec![matmul::result(shape, rows)])
}

/// An operator on two operands. Each is followed by its scale and zero point.
pub(crate) fn binary(node: &mut Node<'_>, left: usize, right: usize) -> Outcome {
    node.others_free(&[left, right])?;
    let operands =
        [(&node.shape(left)?[..], node.layout(left)), (&node.shape(right)?[..], node.layout(right))];
    let (shape, rows) = broadcast(node.sizes, &operands)?;
    Ok(vec![matmul::result(shape, rows)])
}
