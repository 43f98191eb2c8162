//! Matrix products.

use super::{Entry, einsum, entry};
use crate::rows::{
    broadcast::broadcast,
    node::{Mixes, Node, Outcome, mixes},
    size::Size,
    value::{Layout, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "MatMul" => entry(matmul),
        "Gemm" => entry(gemm),
        "Einsum" => entry(einsum::einsum),
        "Det" => entry(det),
        _ => return None,
    })
}

const SUMS: &str = "sums over the rows";
const PAIRS: &str = "multiplies the rows of one input by those of the other";

pub(crate) fn matmul(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1])?;
    let (shape, rows) = product(node, 0, 1)?;
    Ok(vec![result(shape, rows)])
}

pub(crate) fn result(shape: Vec<Size>, rows: Option<Layout>) -> Value {
    match rows {
        Some(layout) => Value::rows(shape, layout),
        None => Value::shaped(shape),
    }
}

/// The shape and the layout of the product of two inputs, as in `numpy.matmul`.
pub(crate) fn product(
    node: &mut Node<'_>,
    left: usize,
    right: usize,
) -> Result<(Vec<Size>, Option<Layout>), Mixes> {
    let (a, b) = (node.shape(left)?.to_vec(), node.shape(right)?.to_vec());
    product_of(node, (&a, node.layout(left)), (&b, node.layout(right)))
}

pub(crate) fn product_of(
    node: &mut Node<'_>,
    (a, rows_of_a): (&[Size], Option<Layout>),
    (b, rows_of_b): (&[Size], Option<Layout>),
) -> Result<(Vec<Size>, Option<Layout>), Mixes> {
    if a.is_empty() || b.is_empty() {
        return Err(mixes("multiplies a scalar"));
    }
    let (batch_a, batch_b) = (a.len().saturating_sub(2), b.len().saturating_sub(2));
    if rows_of_a.is_some_and(|rows| rows.axis == a.len() - 1)
        || rows_of_b.is_some_and(|rows| rows.axis == batch_b)
    {
        return Err(mixes(SUMS));
    }
    let batch = batch_a.max(batch_b);
    // the rows may be those of the left matrix, or columns of the right one
    let on_matrix_a = rows_of_a.filter(|rows| rows.axis == batch_a);
    let on_matrix_b = rows_of_b.filter(|rows| rows.axis > batch_b);
    if (on_matrix_a.is_some() && rows_of_b.is_some()) || (on_matrix_b.is_some() && rows_of_a.is_some()) {
        return Err(mixes(PAIRS));
    }
    let on_batch = |rows: Option<Layout>, batch: usize| rows.filter(|rows| rows.axis < batch);
    let operands =
        [(&a[..batch_a], on_batch(rows_of_a, batch_a)), (&b[..batch_b], on_batch(rows_of_b, batch_b))];
    let (mut shape, mut rows) = broadcast(node.sizes, &operands)?;
    if a.len() > 1 {
        shape.push(a[batch_a]);
        rows = rows.or(on_matrix_a.map(|rows| rows.on(batch)));
    }
    if b.len() > 1 {
        shape.push(b[b.len() - 1]);
        rows = rows.or(on_matrix_b.map(|rows| rows.on(batch + usize::from(a.len() > 1))));
    }
    Ok((shape, rows))
}

/// The shape and the layout of an input with two axes, transposed if the attribute says so.
fn matrix(node: &Node<'_>, input: usize, transpose: &str) -> Result<([Size; 2], Option<Layout>), Mixes> {
    let shape = node.shape(input)?;
    let &[first, second] = &shape[..] else { return Err(mixes("has an input that is no matrix")) };
    let layout = node.layout(input);
    Ok(if node.int(transpose, 0) == 0 {
        ([first, second], layout)
    } else {
        ([second, first], layout.map(|rows| rows.on(1 - rows.axis.min(1))))
    })
}

pub(crate) fn gemm(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1, 2])?;
    let (a, rows_of_a) = matrix(node, 0, "transA")?;
    let (b, rows_of_b) = matrix(node, 1, "transB")?;
    let (shape, rows) = product_of(node, (&a, rows_of_a), (&b, rows_of_b))?;
    let Some(addend) = node.optional(2) else { return Ok(vec![result(shape, rows)]) };
    let addend_shape = addend.shape.clone().ok_or_else(|| mixes("has an input of unknown rank"))?;
    let (sum, rows) = broadcast(node.sizes, &[(&shape, rows), (&addend_shape, addend.layout())])?;
    Ok(vec![result(sum, rows)])
}

/// One number for each matrix in the last two axes.
fn det(node: &mut Node<'_>) -> Outcome {
    let shape = node.shape(0)?;
    let batch = shape.len().checked_sub(2).ok_or_else(|| mixes("has an input that is no matrix"))?;
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis >= batch) {
        return Err(mixes("treats the rows as a matrix"));
    }
    Ok(vec![result(shape[..batch].to_vec(), rows)])
}
