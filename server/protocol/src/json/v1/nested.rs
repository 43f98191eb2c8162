//! Values nested as their shape says, read into packed bytes; sizes that the model leaves open are learnt from
//! the first values.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use half::{bf16, f16};
use smallvec::SmallVec;

use super::Input;
use crate::{
    Datatype, Problem, Shape, Tensor,
    error::excerpt,
    json::{
        data::{Element, Elements, Nulls, Text},
        reader::Reader,
        tensor::once,
    },
    push_bytes_element,
};

/// The key of an element that is written in base64.
pub(super) const BASE64: &str = "b64";

/// A tensor being read.
pub(super) struct Nested<'a> {
    pub(super) input: &'a Input<'a>,
    /// The sizes known so far.
    dims: SmallVec<[Option<usize>; 4]>,
    elements: Elements,
}

impl<'a> Nested<'a> {
    /// A tensor for `input`, still empty. The size of its first axis is left to what comes.
    pub(super) fn new(input: &'a Input<'a>, nulls: Nulls) -> Self {
        let size = |(axis, dim): (usize, &i64)| usize::try_from(*dim).ok().filter(|_| axis > 0);
        Self {
            input,
            dims: input.dims.iter().enumerate().map(size).collect(),
            elements: Elements::new(input.datatype, nulls),
        }
    }

    /// Reads the whole tensor at hand (`axis` 0), or one row of it (`axis` 1).
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, axis: usize) -> Result<(), Problem> {
        match self.input.datatype {
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
            Datatype::Bytes => self.axis::<Blob>(reader, axis),
        }
    }

    /// The tensor of what was read; `rows` is the size of the first axis where it was read row by row.
    pub(super) fn finish(mut self, rows: Option<usize>) -> Result<Tensor, Problem> {
        if let (Some(rows), Some(first)) = (rows, self.dims.first_mut()) {
            *first = Some(rows);
        }
        // An axis that was never reached lies within an empty one.
        let shape = Shape(self.dims.into_iter().map(Option::unwrap_or_default).collect());
        Tensor::new(self.input.datatype, shape, Bytes::from(self.elements.packed))
    }

    /// Reads what lies along `axis` and those after it; no deeper than the model's shape.
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

    /// Reads an array of elements; gives their number.
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

/// An element of BYTES: a string, or an object with one in base64.
struct Blob;

impl Element for Blob {
    const SIZE: usize = Text::SIZE;

    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
        if reader.peek() != Some(b'{') {
            return Text::read(elements, reader);
        }
        let mut blob = None;
        reader.object("a string or an object", |reader, key| {
            let start = reader.offset;
            if key != BASE64.as_bytes() {
                let expected = "no other key than \"b64\" in an element of BYTES";
                return Err(Problem::Unexpected { offset: start, expected, found: reader.found() });
            }
            let text = reader.string("base64 in double quotes")?;
            let decoded = STANDARD
                .decode(text.as_bytes())
                .map_err(|_| Problem::Base64 { offset: start, value: excerpt(&text) })?;
            once(&mut blob, decoded, reader, BASE64)
        })?;
        let blob = blob.ok_or(Problem::Missing(BASE64))?;
        push_bytes_element(&mut elements.packed, &blob);
        Ok(())
    }
}
