//! Gathering: copying the rows of several requests into one batch.

use oip::{Shape, Tensor};
use smallvec::SmallVec;

use super::tuning::MAX_KEPT_BUFFER_WORDS;
use crate::executor::BatchInput;

/// A buffer of bytes that is aligned for every datatype and reused from batch to batch.
#[derive(Debug, Default)]
struct AlignedBuffer {
    words: Vec<u64>,
    length: usize,
}

impl AlignedBuffer {
    /// Copies the tensors, joined along `axis`: for each index of the axes before `axis`, the parts of all tensors
    /// follow each other.
    fn fill<'a>(&mut self, tensors: &(impl Iterator<Item = &'a Tensor> + Clone), axis: usize) {
        self.length = tensors.clone().map(|tensor| tensor.data.len()).sum();
        let words = self.length.div_ceil(size_of::<u64>());
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        let before = |tensor: &Tensor| tensor.shape.0[..axis].iter().product::<usize>();
        let parts = tensors.clone().next().map_or(0, before);
        let mut start = 0;
        for part in 0..parts {
            for tensor in tensors.clone() {
                let length = tensor.data.len() / parts;
                bytes[start..start + length]
                    .copy_from_slice(&tensor.data[part * length..(part + 1) * length]);
                start += length;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }

    /// Frees the buffer if it is too large to keep.
    fn release(&mut self) {
        if self.words.len() > MAX_KEPT_BUFFER_WORDS {
            *self = Self::default();
        }
    }
}

/// The input tensors of one request in a batch.
#[derive(Clone, Copy, Debug)]
pub struct RequestInputs<'a> {
    /// The required inputs in the model's order, then the optional inputs that the request gives.
    pub tensors: &'a [Tensor],
    /// Positions of those optional inputs among the model's inputs. A request with any of them runs alone.
    pub optional: &'a [usize],
}

impl<'a> RequestInputs<'a> {
    /// Wraps the tensors of a request without optional inputs.
    pub fn of(tensors: &'a [Tensor]) -> Self {
        Self { tensors, optional: &[] }
    }

    /// Returns the position, among the model's inputs, of the tensor at `index`.
    fn position(&self, index: usize) -> usize {
        let required = self.tensors.len() - self.optional.len();
        index.checked_sub(required).map_or(index, |index| self.optional[index])
    }
}

/// The inputs of each request of a batch.
pub type ExecutionInputs<'a> = [RequestInputs<'a>];

/// Returns the bytes of an input without a copy. This works where the request runs alone and its bytes are aligned
/// for their datatype.
fn own_data<'a>(requests: &ExecutionInputs<'a>, index: usize) -> Option<&'a [u8]> {
    let [only] = requests else { return None };
    let Tensor { datatype, data, .. } = &only.tensors[index];
    data.as_ptr().addr().is_multiple_of(datatype.size().unwrap_or(1)).then_some(&data[..])
}

/// Joins the inputs of requests into batches, and reuses its buffers.
#[derive(Debug, Default)]
pub struct Gatherer {
    /// The axis along which each input is joined. Inputs beyond the list are joined along their first.
    axes: Vec<usize>,
    buffers: Vec<AlignedBuffer>,
    shapes: Vec<Shape>,
}

impl Gatherer {
    /// Makes a gatherer that joins inputs along these axes.
    pub fn along(axes: Vec<usize>) -> Self {
        Self { axes, ..Self::default() }
    }

    /// Joins the requests' tensors, input by input, and calls `run` with the batch. A single request keeps its shape,
    /// even if the model's requests cannot be joined.
    pub fn gather<R>(
        &mut self,
        requests: &ExecutionInputs<'_>,
        run: impl FnOnce(&[BatchInput<'_>]) -> R,
    ) -> R {
        let Some(request) = requests.first() else { return run(&[]) };
        let first = request.tensors;
        self.buffers.resize_with(first.len(), AlignedBuffer::default);
        self.shapes.clear();
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            let tensors = requests.iter().map(|request| &request.tensors[index]);
            let axis = self.axes.get(index).copied().unwrap_or(0);
            if own_data(requests, index).is_none() {
                buffer.fill(&tensors, if requests.len() > 1 { axis } else { 0 });
            }
            let mut shape = first[index].shape.clone();
            if requests.len() > 1 {
                shape.0[axis] = tensors.map(|tensor| tensor.shape.0[axis]).sum();
            }
            self.shapes.push(shape);
        }
        let inputs: SmallVec<[BatchInput<'_>; 4]> = self
            .buffers
            .iter()
            .zip(&self.shapes)
            .enumerate()
            .map(|(index, (buffer, shape))| BatchInput {
                position: request.position(index),
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
    fn a_request_that_runs_alone_is_copied_only_if_it_is_misaligned() {
        let mut gatherer = Gatherer::default();
        let data = Bytes::from(vec![5; 88]);
        let aligned = data.as_ptr().addr().wrapping_neg() % 8;
        for offset in 0..8 {
            let only = tensor(data.slice(offset..offset + 80));
            gatherer.gather(&[RequestInputs::of(&only)], |inputs| {
                assert_eq!(inputs[0].data, &only[0].data);
                assert_eq!(inputs[0].data.as_ptr().addr() % 8, 0);
                assert_eq!(inputs[0].data.as_ptr() == only[0].data.as_ptr(), offset == aligned);
            });
        }
        let two = tensor(data.slice(aligned..aligned + 80));
        gatherer.gather(&[RequestInputs::of(&two), RequestInputs::of(&two)], |inputs| {
            assert_eq!((inputs[0].data.len(), &inputs[0].shape.0[..]), (160, &[2, 10][..]));
        });
    }

    #[test]
    fn tensors_are_joined_along_the_axis_of_their_rows() {
        let part = |rows: usize, value: u8| Tensor {
            datatype: Datatype::Uint8,
            shape: Shape(smallvec![2, rows, 2]),
            data: (0..4 * rows).map(|index| value + index as u8).collect::<Vec<_>>().into(),
        };
        let (one, two) = ([part(1, 0)], [part(2, 100)]);
        Gatherer::along(vec![1]).gather(&[RequestInputs::of(&one), RequestInputs::of(&two)], |joined| {
            assert_eq!(joined[0].shape.0[..], [2, 3, 2]);
            assert_eq!(joined[0].data, [0, 1, 100, 101, 102, 103, 2, 3, 104, 105, 106, 107]);
        });
    }

    #[test]
    fn optional_inputs_keep_their_position() {
        let data = Bytes::from(vec![0; 8]);
        let tensors = [tensor(data.clone()), tensor(data.clone()), tensor(data)].concat();
        let request = RequestInputs { tensors: &tensors, optional: &[3, 5] };
        let positions = Gatherer::default()
            .gather(&[request], |inputs| inputs.iter().map(|input| input.position).collect::<Vec<_>>());
        assert_eq!(positions, [0, 3, 5]);
    }
}
