//! Several sessions of one model, each for batches of one size.
//!
//! On a GPU, ONNX Runtime plans a convolution again whenever the shape of a run differs from that of the previous
//! run. Planning may take hundreds of times as long as the run. A session that only ever runs one shape plans once.

use oip::{Shape, Tensor};
use smallvec::SmallVec;

use super::{BatchInput, ExecuteError, Executor, Stop};

/// Runs each batch on the session with the smallest size that fits. Rows that the batch lacks are filled in, and
/// their outputs are dropped.
#[derive(Debug)]
pub struct BySize<E> {
    /// Sorted by size.
    sessions: Vec<OneSize<E>>,
}

/// A session for batches of one size.
#[derive(Debug)]
struct OneSize<E> {
    /// Rows of each batch.
    rows: usize,
    executor: E,
    /// A buffer for each input of a batch that is filled up, in words of 8 bytes so that every datatype is aligned.
    filled: Vec<Vec<u64>>,
}

impl<E: Executor> BySize<E> {
    /// Takes at least one session, each with the rows of its batches.
    pub fn new(sessions: impl IntoIterator<Item = (usize, E)>) -> Self {
        let session = |(rows, executor)| OneSize { rows, executor, filled: Vec::new() };
        let mut sessions: Vec<_> = sessions.into_iter().map(session).collect();
        sessions.sort_by_key(|session| session.rows);
        Self { sessions }
    }

    /// Returns the rows of the largest session.
    fn most_rows(&self) -> usize {
        self.sessions.last().map_or(1, |largest| largest.rows)
    }

    /// Runs `rows` rows, which the largest session can hold.
    fn run(
        &mut self,
        inputs: &[BatchInput<'_>],
        rows: usize,
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError> {
        let fitting = self.sessions.partition_point(|session| session.rows < rows);
        let session = &mut self.sessions[fitting];
        if rows == session.rows {
            return session.executor.execute(inputs, stop);
        }
        let outputs = session.run_filled(inputs, rows, stop)?;
        first_rows(&outputs, session.rows, rows)
    }
}

impl<E: Executor> OneSize<E> {
    /// Runs a batch of the session's size that begins with `rows` rows of `inputs`.
    fn run_filled(
        &mut self,
        inputs: &[BatchInput<'_>],
        rows: usize,
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError> {
        let size = self.rows;
        self.filled.resize_with(inputs.len(), Vec::new);
        let shapes: SmallVec<[Shape; 4]> = inputs.iter().map(|input| with_rows(input.shape, size)).collect();
        for (input, filled) in inputs.iter().zip(&mut self.filled) {
            fill(filled, input.data, rows, size);
        }
        let filled = inputs.iter().zip(&shapes).zip(&self.filled).map(|((input, shape), filled)| {
            let bytes = input.data.len() / rows * size;
            BatchInput { shape, data: &bytemuck::cast_slice(filled)[..bytes], ..*input }
        });
        let filled: SmallVec<[BatchInput<'_>; 4]> = filled.collect();
        self.executor.execute(&filled, stop)
    }
}

impl<E: Executor> Executor for BySize<E> {
    /// Requires inputs whose rows are along the first axis and whose elements have a fixed size. A batch with more
    /// rows than the largest session runs in parts, one after another.
    fn execute(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError> {
        let rows = inputs.first().and_then(|input| input.shape.0.first()).copied().unwrap_or(0);
        if (1..=self.most_rows()).contains(&rows) {
            return self.run(inputs, rows, stop);
        }
        if rows == 0 {
            // There is no row to fill up with, and a run without rows needs no plan.
            return self.sessions[0].executor.execute(inputs, stop);
        }
        let mut parts = Vec::new();
        for start in (0..rows).step_by(self.most_rows()) {
            let count = self.most_rows().min(rows - start);
            let shapes: SmallVec<[Shape; 4]> =
                inputs.iter().map(|input| with_rows(input.shape, count)).collect();
            let part = inputs.iter().zip(&shapes).map(|(input, shape)| {
                let row = input.data.len() / rows;
                let data = &input.data[start * row..(start + count) * row];
                BatchInput { shape, data, ..*input }
            });
            let part: SmallVec<[BatchInput<'_>; 4]> = part.collect();
            parts.push(first_rows(&self.run(&part, count, stop)?, count, count)?);
        }
        Ok(joined(&parts, rows))
    }
}

/// Returns the shape with another number of rows.
fn with_rows(shape: &Shape, rows: usize) -> Shape {
    let mut shape = shape.clone();
    shape.0[0] = rows;
    shape
}

/// Writes the rows into the buffer, and then repeats the first of them until there are `size` rows. A copy of a real
/// row cannot make the model fail where the batch itself would not.
fn fill(buffer: &mut Vec<u64>, data: &[u8], rows: usize, size: usize) {
    let row = data.len() / rows;
    buffer.resize((row * size).div_ceil(size_of::<u64>()), 0);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(buffer);
    bytes[..data.len()].copy_from_slice(data);
    for free in rows..size {
        bytes[free * row..(free + 1) * row].copy_from_slice(&data[..row]);
    }
}

/// Returns the first `rows` rows of the outputs of a batch of `size` rows.
///
/// # Errors
/// An output does not have `size` rows, although the model's file declares a batch axis.
fn first_rows(outputs: &[Tensor], size: usize, rows: usize) -> Result<Vec<Tensor>, ExecuteError> {
    let first = |output: &Tensor| {
        let first = if output.rows() == Some(size) { output.slice_rows(0, rows) } else { None };
        first.ok_or_else(|| {
            ExecuteError::server(format!("an output has shape {} for a batch of {size} rows", output.shape))
        })
    };
    outputs.iter().map(first).collect()
}

/// Joins the outputs of the parts of a batch.
fn joined(parts: &[Vec<Tensor>], rows: usize) -> Vec<Tensor> {
    let first = parts.first().map_or(&[][..], |first| first);
    let join = |(index, output): (usize, &Tensor)| Tensor {
        datatype: output.datatype,
        shape: with_rows(&output.shape, rows),
        data: parts.iter().map(|part| &part[index].data[..]).collect::<Vec<_>>().concat().into(),
    };
    first.iter().enumerate().map(join).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use oip::Datatype;
    use proptest::prelude::*;

    use super::*;

    /// A model that adds the two columns of each row, and records the rows of its batches.
    #[derive(Debug)]
    struct Adds {
        seen: Arc<Mutex<Vec<usize>>>,
    }

    impl Executor for Adds {
        fn execute(
            &mut self,
            inputs: &[BatchInput<'_>],
            _: Option<&Stop>,
        ) -> Result<Vec<Tensor>, ExecuteError> {
            let rows = inputs[0].shape.0[0];
            self.seen.lock().unwrap().push(rows);
            let columns: Vec<&[f32]> = inputs.iter().map(|input| bytemuck::cast_slice(input.data)).collect();
            let sums: Vec<f32> =
                (0..rows).map(|row| columns.iter().map(|column| column[row]).sum()).collect();
            assert!(sums.iter().all(|sum| *sum > 0.0), "a row that no request sent");
            let data = bytemuck::cast_slice(&sums).to_vec().into();
            Ok(vec![Tensor { datatype: Datatype::Fp32, shape: [rows, 1][..].into(), data }])
        }
    }

    fn sums(sessions: &mut BySize<Adds>, rows: usize, start: f32) -> Vec<f32> {
        let column: Vec<f32> = (0..rows).map(|row| start + row as f32).collect();
        let shape: Shape = [rows, 1][..].into();
        let input = BatchInput {
            position: 0,
            datatype: Datatype::Fp32,
            shape: &shape,
            data: bytemuck::cast_slice(&column),
        };
        let outputs = sessions.execute(&[input, input], None).unwrap();
        assert_eq!(outputs[0].shape, shape);
        outputs[0].data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    fn expected(rows: usize, start: f32) -> Vec<f32> {
        (0..rows).map(|row| 2.0 * (start + row as f32)).collect()
    }

    proptest! {
        #[test]
        fn each_session_runs_one_size_and_each_row_gets_its_output(
            sizes in prop::collection::vec(1..20_usize, 1..6),
            batches in prop::collection::vec(0..70_usize, 1..10),
        ) {
            let seen: Vec<_> = sizes.iter().map(|_| Arc::default()).collect();
            let session = |(&rows, seen): (&usize, &Arc<_>)| (rows, Adds { seen: Arc::clone(seen) });
            let mut sessions = BySize::new(sizes.iter().zip(&seen).map(session));
            for rows in batches {
                prop_assert_eq!(sums(&mut sessions, rows, 1.0), expected(rows, 1.0));
            }
            for (size, seen) in sizes.iter().zip(seen) {
                prop_assert!(seen.lock().unwrap().iter().all(|rows| rows == size || *rows == 0));
            }
        }
    }

    /// A model with a single number as its output.
    struct Sums;

    impl Executor for Sums {
        fn execute(&mut self, _: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
            let (shape, data) = (Shape::from(&[][..]), vec![0; 4].into());
            Ok(vec![Tensor { datatype: Datatype::Fp32, shape, data }])
        }
    }

    #[test]
    fn an_output_without_rows_is_an_error_where_rows_would_be_taken_from_it() {
        let mut sessions = BySize::new([(1, Sums), (4, Sums)]);
        let mut run = |rows: usize| {
            let (shape, data) = ([rows][..].into(), vec![0; rows]);
            sessions.execute(
                &[BatchInput { position: 0, datatype: Datatype::Uint8, shape: &shape, data: &data }],
                None,
            )
        };
        assert!(run(1).is_ok() && run(4).is_ok());
        for rows in [3, 5, 8] {
            assert!(run(rows).unwrap_err().message.contains("an output has shape []"));
        }
    }
}
