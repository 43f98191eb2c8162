//! Reads nested values into packed bytes. Where the model's shape leaves a size open, the first values determine it.

use bytes::Bytes;
use half::{bf16, f16};
use smallvec::SmallVec;

use super::Input;
use crate::{
    Datatype, Problem, Shape, Tensor,
    json::{
        data::{BASE64, Element, Elements, Nulls, Text},
        reader::Reader,
    },
};

/// A tensor that is being read.
pub(super) struct Nested<'a> {
    pub(super) input: &'a Input<'a>,
    /// The datatype of the values: that of the input, or BYTES for pictures.
    datatype: Datatype,
    /// Whether nothing has been read yet.
    is_new: bool,
    /// The sizes of the axes, as far as they are known.
    dims: SmallVec<[Option<usize>; 4]>,
    elements: Elements,
}

impl<'a> Nested<'a> {
    /// An empty tensor for `input`. The values determine the size of its first axis.
    pub(super) fn new(input: &'a Input<'a>, nulls: Nulls) -> Self {
        let size = |(axis, dim): (usize, &i64)| usize::try_from(*dim).ok().filter(|_| axis > 0);
        Self {
            input,
            datatype: input.datatype,
            is_new: true,
            dims: input.dims.iter().enumerate().map(size).collect(),
            elements: Elements::new(input.datatype, nulls),
        }
    }

    /// Reads the whole next tensor (`axis` 0), or one row of it (`axis` 1).
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, axis: usize) -> Result<(), Problem> {
        if self.input.pictures {
            self.settle(reader, axis)?;
        }
        match self.datatype {
            Datatype::Bool => self.axis::<bool>(reader, axis),
            Datatype::Uint8 => self.axis::<u8>(reader, axis),
            Datatype::Uint16 => self.axis::<u16>(reader, axis),
            Datatype::Uint32 => self.axis::<u32>(reader, axis),
            Datatype::Uint64 => self.axis::<u64>(reader, axis),
            Datatype::Int8 => self.axis::<i8>(reader, axis),
            Datatype::Int16 => self.axis::<i16>(reader, axis),
            Datatype::Int32 => self.axis::<i32>(reader, axis),
            Datatype::Int64 => self.axis::<i64>(reader, axis),
            Datatype::Fp16 => self.axis::<f16>(reader, axis),
            Datatype::Bf16 => self.axis::<bf16>(reader, axis),
            Datatype::Fp32 => self.axis::<f32>(reader, axis),
            Datatype::Fp64 => self.axis::<f64>(reader, axis),
            Datatype::Bytes => self.axis::<Text>(reader, axis),
        }
    }

    /// Decides whether the tensor is read as pictures or as numbers. All rows must be of the same type.
    fn settle(&mut self, reader: &mut Reader<'_>, axis: usize) -> Result<(), Problem> {
        let offset = reader.offset;
        if axis == 0 && reader.peek() == Some(b'{') && first_key(*reader) == Some(true) {
            let expected = "a list of {\"b64\": …}";
            return Err(Problem::Unexpected { offset: reader.offset, expected, found: reader.found() });
        }
        let are_pictures = is_picture(*reader, axis);
        if std::mem::take(&mut self.is_new) {
            if are_pictures {
                self.datatype = Datatype::Bytes;
                self.elements = Elements::new(Datatype::Bytes, Nulls::Refuse);
                self.dims = SmallVec::from_elem(None, 1);
            }
            return Ok(());
        }
        if are_pictures == (self.datatype == Datatype::Bytes) { Ok(()) } else { Err(Problem::Mixed(offset)) }
    }

    /// Makes a tensor of the values read. `rows` is the size of the first axis if the values were read row by row.
    pub(super) fn finish(mut self, rows: Option<usize>) -> Result<Tensor, Problem> {
        if let (Some(rows), Some(first)) = (rows, self.dims.first_mut()) {
            *first = Some(rows);
        }
        // An axis that was never reached is inside an empty one, so its size is 0.
        let shape = Shape(self.dims.into_iter().map(Option::unwrap_or_default).collect());
        Tensor::new(self.datatype, shape, Bytes::from(self.elements.packed))
    }

    /// Reads the values along `axis` and the axes after it. Values nested deeper than the model's shape are an error.
    fn axis<E: Element>(&mut self, reader: &mut Reader<'_>, axis: usize) -> Result<(), Problem> {
        let rank = self.dims.len();
        if axis >= rank {
            return self.element::<E>(reader);
        }
        if reader.peek() != Some(b'[') {
            return Err(self.depth(reader, "fewer"));
        }
        let start = reader.offset;
        let count = if axis + 1 == rank {
            self.innermost::<E>(reader)?
        } else {
            let mut count = 0;
            reader.array("an array", |reader, _| {
                count += 1;
                self.axis::<E>(reader, axis + 1)
            })?;
            count
        };
        match *self.dims[axis].get_or_insert(count) {
            expected if expected == count => Ok(()),
            expected => Err(Problem::Ragged { offset: start, axis, expected, got: count }),
        }
    }

    /// Reads an array of elements. Returns their number.
    fn innermost<E: Element>(&mut self, reader: &mut Reader<'_>) -> Result<usize, Problem> {
        reader.require(b'[', "an array")?;
        reader.enter()?;
        let mut count = 0;
        if !reader.eat(b']') {
            loop {
                reader.peek();
                count += E::read_common(&mut self.elements, reader) + 1;
                self.element::<E>(reader)?;
                if !reader.eat(b',') {
                    break;
                }
            }
            reader.require(b']', "',' or ']'")?;
        }
        reader.leave();
        Ok(count)
    }

    fn element<E: Element>(&mut self, reader: &mut Reader<'_>) -> Result<(), Problem> {
        if reader.peek() == Some(b'[') {
            return Err(self.depth(reader, "more"));
        }
        E::read(&mut self.elements, reader)
    }

    #[cold]
    fn depth(&self, reader: &Reader<'_>, levels: &'static str) -> Problem {
        Problem::Depth { offset: reader.offset, levels, dims: self.input.dims.clone() }
    }
}

/// Whether the next value is an encoded picture, or (for `axis` 0) an array of encoded pictures.
fn is_picture(mut reader: Reader<'_>, axis: usize) -> bool {
    if axis == 0 && !(reader.peek() == Some(b'[') && reader.eat(b'[')) {
        return false;
    }
    match reader.peek() {
        Some(b'"') => true,
        Some(b'{') => first_key(reader) == Some(true),
        _ => false,
    }
}

/// Whether the first key of the next object is [`BASE64`]. `None` if the object has no key.
pub(super) fn first_key(mut reader: Reader<'_>) -> Option<bool> {
    let mut first = None;
    // The closure returns an error to stop at the first key. Nobody sees this error.
    let _stopped: Result<(), Problem> = reader.object("an object", |_, key| {
        first = Some(key == BASE64.as_bytes());
        Err(Problem::NoForm)
    });
    first
}
