//! Dividing a batch's outputs among the requests whose rows it joined.

use oip::Tensor;

use crate::executor::ExecuteError;

/// Gives each request its rows of every output; `rows` are those of each request, in the batch's order.
/// No element is copied: the tensors share the batch's buffers.
///
/// # Errors
/// An output that does not have one row for each row of the batch: the model's file promised a batch
/// axis that the model does not keep.
pub fn scatter(outputs: Vec<Tensor>, rows: &[usize]) -> Result<Vec<Vec<Tensor>>, ExecuteError> {
    if rows.len() == 1 {
        return Ok(vec![outputs]);
    }
    let total: usize = rows.iter().sum();
    let broken = |output: &Tensor| {
        let shape = &output.shape;
        ExecuteError::server(format!("an output has shape {shape} for a batch of {total} rows"))
    };
    if let Some(output) = outputs.iter().find(|output| output.rows() != Some(total)) {
        return Err(broken(output));
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(rows.len());
    for &count in rows {
        let part = outputs.iter().map(|output| output.slice_rows(start, count).ok_or_else(|| broken(output)));
        parts.push(part.collect::<Result<_, _>>()?);
        start += count;
    }
    Ok(parts)
}
