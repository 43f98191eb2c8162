//! Joining the rows of several requests into one batch.

use oip::{Shape, Tensor};
use smallvec::SmallVec;

use crate::executor::BatchInput;

/// Buffers larger than this are given back after the batch, so that one large request does not hold its
/// memory for good.
const KEPT_WORDS: usize = 1 << 17; // 1 MiB

/// A byte buffer aligned for every datatype, reused from batch to batch.
#[derive(Debug, Default)]
struct AlignedBuffer {
    words: Vec<u64>,
    length: usize,
}

impl AlignedBuffer {
    fn fill<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]> + Clone) {
        self.length = parts.clone().map(<[u8]>::len).sum();
        let words = self.length.div_ceil(size_of::<u64>());
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        let mut start = 0;
        for part in parts {
            bytes[start..start + part.len()].copy_from_slice(part);
            start += part.len();
        }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }

    fn release(&mut self) {
        if self.words.len() > KEPT_WORDS {
            *self = Self::default();
        }
    }
}

/// The input tensors of each request of a batch, each in the model's order.
pub type ExecutionInputs<'a> = [&'a [Tensor]];

/// Joins the inputs of batches, reusing its buffers.
#[derive(Debug, Default)]
pub struct Gatherer {
    buffers: Vec<AlignedBuffer>,
    shapes: Vec<Shape>,
}

impl Gatherer {
    /// Joins the requests' tensors input by input along the first axis and hands the batch to `run`.
    /// A single request keeps its shape, whether the model has a batch axis or not.
    pub fn gather<R>(
        &mut self,
        requests: &ExecutionInputs<'_>,
        run: impl FnOnce(&[BatchInput<'_>]) -> R,
    ) -> R {
        let Some(first) = requests.first() else { return run(&[]) };
        self.buffers.resize_with(first.len(), AlignedBuffer::default);
        self.shapes.clear();
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            let tensors = requests.iter().map(|inputs: &&[Tensor]| &inputs[index]);
            buffer.fill(tensors.clone().map(|tensor| &tensor.data[..]));
            let mut shape = first[index].shape.clone();
            if requests.len() > 1 {
                shape.0[0] = tensors.map(|tensor| tensor.shape.0[0]).sum();
            }
            self.shapes.push(shape);
        }
        let inputs: SmallVec<[BatchInput<'_>; 4]> = self
            .buffers
            .iter()
            .zip(&self.shapes)
            .zip(first.iter())
            .map(|((buffer, shape), tensor)| BatchInput {
                datatype: tensor.datatype,
                shape,
                data: buffer.bytes(),
            })
            .collect();
        let result = run(&inputs);
        drop(inputs);
        self.buffers.iter_mut().for_each(AlignedBuffer::release);
        result
    }
}
