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

/// An input of a request that is alone, where its elements lie as they must: no copy is made of it.
fn own_data<'a>(requests: &ExecutionInputs<'a>, index: usize) -> Option<&'a [u8]> {
    let [only] = requests else { return None };
    let Tensor { datatype, data, .. } = &only[index];
    data.as_ptr().addr().is_multiple_of(datatype.size().unwrap_or(1)).then_some(&data[..])
}

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
            if own_data(requests, index).is_none() {
                buffer.fill(tensors.clone().map(|tensor| &tensor.data[..]));
            }
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
            .enumerate()
            .map(|(index, (buffer, shape))| BatchInput {
                datatype: first[index].datatype,
                shape,
                data: own_data(requests, index).unwrap_or_else(|| buffer.bytes()),
            })
            .collect();
        let result = run(&inputs);
        drop(inputs);
        self.buffers.iter_mut().for_each(AlignedBuffer::release);
        result
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oip::Datatype;
    use smallvec::smallvec;

    use super::*;

    fn tensor(data: Bytes) -> [Tensor; 1] {
        [Tensor { datatype: Datatype::Fp64, shape: Shape(smallvec![1, data.len() / 8]), data }]
    }

    #[test]
    fn a_request_alone_is_copied_only_where_its_elements_do_not_lie_as_they_must() {
        let mut gatherer = Gatherer::default();
        let data = Bytes::from(vec![5; 88]);
        let aligned = data.as_ptr().addr().wrapping_neg() % 8;
        for offset in 0..8 {
            let only = tensor(data.slice(offset..offset + 80));
            gatherer.gather(&[&only], |inputs| {
                assert_eq!(inputs[0].data, &only[0].data);
                assert_eq!(inputs[0].data.as_ptr().addr() % 8, 0);
                assert_eq!(inputs[0].data.as_ptr() == only[0].data.as_ptr(), offset == aligned);
            });
        }
        let two = tensor(data.slice(aligned..aligned + 80));
        gatherer.gather(&[&two, &two], |inputs| {
            assert_eq!((inputs[0].data.len(), &inputs[0].shape.0[..]), (160, &[2, 10][..]));
        });
    }
}
