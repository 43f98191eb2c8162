//! Scattering: dividing the outputs of a batch among its requests.

use oip::Tensor;

use crate::executor::ExecuteError;

/// Returns the outputs of each request. `rows` has the number of rows of each request, in the batch's order. `axes`
/// has the axis of the rows in each output; outputs beyond the list have it first. Outputs that are divided along
/// their first axis share the batch's buffers, so no element is copied.
///
/// # Errors
/// An output does not have one row for each row of the batch. The model mixes rows after all.
pub fn scatter(
    outputs: Vec<Tensor>,
    rows: &[usize],
    axes: &[usize],
) -> Result<Vec<Vec<Tensor>>, ExecuteError> {
    if rows.len() == 1 {
        return Ok(vec![outputs]);
    }
    let total: usize = rows.iter().sum();
    let broken = |output: &Tensor| {
        let shape = &output.shape;
        ExecuteError::server(format!("an output has shape {shape} for a batch of {total} rows"))
    };
    let axis = |output: usize| axes.get(output).copied().unwrap_or(0);
    let has_rows = |(index, output): &(usize, &Tensor)| output.shape.0.get(axis(*index)) == Some(&total);
    if let Some((_, output)) = outputs.iter().enumerate().find(|output| !has_rows(output)) {
        return Err(broken(output));
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(rows.len());
    for &count in rows {
        let slice = |(index, output): (usize, &Tensor)| {
            output.slice_along(axis(index), start, count).ok_or_else(|| broken(output))
        };
        let part = outputs.iter().enumerate().map(slice);
        parts.push(part.collect::<Result<_, _>>()?);
        start += count;
    }
    Ok(parts)
}
