//! Broadcasting of tensors that have rows.

use super::{
    node::{Mixes, mixes},
    size::{Size, Sizes},
    value::Layout,
};

/// A shape, and the layout of its rows, if it has rows.
pub(crate) type Operand<'a> = (&'a [Size], Option<Layout>);

/// The shape of the result, and the layout of its rows. Axes are aligned from the right, as in NumPy.
pub(crate) fn broadcast(
    sizes: &mut Sizes,
    operands: &[Operand<'_>],
) -> Result<(Vec<Size>, Option<Layout>), Mixes> {
    let rank = operands.iter().map(|(shape, _)| shape.len()).max().unwrap_or(0);
    let mut rows: Option<Layout> = None;
    for (shape, layout) in operands {
        let Some(layout) = layout else { continue };
        let layout = layout.on(layout.axis + rank - shape.len());
        match rows {
            Some(other) if other != layout => {
                return Err(mixes("lines up the rows of one input with another axis of the other"));
            }
            _ => rows = Some(layout),
        }
    }
    let mut result = vec![Size::ONE; rank];
    for (shape, layout) in operands {
        for (axis, &dim) in shape.iter().enumerate() {
            let target = axis + rank - shape.len();
            if rows.is_some_and(|rows| rows.axis == target) {
                if layout.is_none() && dim != Size::ONE {
                    return Err(mixes(match sizes.as_constant(dim) {
                        Some(dim) => format!("lines up the rows with an axis of fixed size {dim}"),
                        None => "lines up the rows with an axis of another size".to_owned(),
                    }));
                }
                if layout.is_some() {
                    result[target] = dim;
                }
            } else {
                result[target] = sizes.broadcast(result[target], dim);
            }
        }
    }
    Ok((result, rows))
}
