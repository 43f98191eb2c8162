//! A tensor's object: where its elements are, and what they are.

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use super::{
    data::{self, Null},
    parameters,
    reader::Reader,
};
use crate::{Datatype, DecodeError, InputTensor, Parameters, Problem, Shape, Tensor};

/// Whose tensors are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Input,
    Output,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    fn null(self) -> Null {
        match self {
            Self::Input => Null::Refused,
            Self::Output => Null::Nan,
        }
    }
}

/// Fields of a tensor's object, as they come.
#[derive(Default)]
struct Fields<'a> {
    name: Option<CompactString>,
    datatype: Option<Datatype>,
    shape: Option<Shape>,
    parameters: Option<Parameters>,
    binary_size: Option<usize>,
    data: Option<Data<'a>>,
}

enum Data<'a> {
    Read(Tensor),
    /// It came before datatype or shape: where to read it from.
    Skipped(Reader<'a>),
}

/// Reads the tensor at hand; its bytes are taken off the front of `tail` where it says that they are there.
pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    kind: Kind,
    tail: &mut Bytes,
) -> Result<InputTensor, DecodeError> {
    let mut fields = Fields::default();
    read_fields(reader, kind, &mut fields).map_err(|problem| match &fields.name {
        Some(name) => DecodeError::named(kind.name(), name, problem),
        None => DecodeError::numbered(kind.name(), index, problem),
    })?;
    let Some(name) = fields.name.take() else {
        return Err(DecodeError::numbered(kind.name(), index, Problem::Missing("name")));
    };
    let parameters = fields.parameters.take().unwrap_or_default();
    match finish(fields, kind, tail) {
        Ok(tensor) => Ok(InputTensor { name, parameters, tensor }),
        Err(problem) => Err(DecodeError::named(kind.name(), &name, problem)),
    }
}

fn read_fields<'a>(reader: &mut Reader<'a>, kind: Kind, fields: &mut Fields<'a>) -> Result<(), Problem> {
    reader.object("an object", |reader, key| match key {
        b"name" => {
            let name = reader.string("a string")?.into();
            once(&mut fields.name, name, reader, "name")
        }
        b"datatype" => {
            let datatype = reader.string("a datatype in double quotes")?.parse()?;
            once(&mut fields.datatype, datatype, reader, "datatype")
        }
        b"shape" => {
            let shape = read_shape(reader)?;
            once(&mut fields.shape, shape, reader, "shape")
        }
        b"parameters" => {
            let (parameters, size) = read_parameters(reader)?;
            fields.binary_size = size;
            once(&mut fields.parameters, parameters, reader, "parameters")
        }
        b"data" if reader.null() => Ok(()),
        b"data" => {
            let data = if let (Some(datatype), Some(shape)) = (fields.datatype, &fields.shape) {
                Data::Read(data::read(reader, datatype, shape.clone(), kind.null())?)
            } else {
                let start = *reader;
                reader.skip()?;
                Data::Skipped(start)
            };
            once(&mut fields.data, data, reader, "data")
        }
        _ => reader.skip(),
    })
}

/// Sets a field that must not come twice.
pub(super) fn once<T>(
    field: &mut Option<T>,
    value: T,
    reader: &Reader<'_>,
    key: &'static str,
) -> Result<(), Problem> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::Duplicate { offset: reader.offset, key }),
    }
}

fn read_shape(reader: &mut Reader<'_>) -> Result<Shape, Problem> {
    const DIMENSION: &str = "a dimension: an integer from 0 up";
    let mut dims = SmallVec::new();
    reader.array("an array of dimensions", |reader, _| {
        reader.peek();
        let start = *reader;
        dims.push(reader.size(DIMENSION)?.ok_or_else(|| start.unexpected(DIMENSION))?);
        Ok::<_, Problem>(())
    })?;
    Ok(Shape(dims))
}

/// Reads a tensor's parameters, and apart from them the one that says where its bytes are.
fn read_parameters(reader: &mut Reader<'_>) -> Result<(Parameters, Option<usize>), Problem> {
    const KEY: &str = "binary_data_size";
    let mut binary_size = None;
    let parameters = parameters::read(reader, |reader, key| {
        if key.starts_with(b"shared_memory_") {
            return Err(Problem::SharedMemory);
        }
        if key != KEY.as_bytes() {
            return Ok(false);
        }
        let expected = Problem::Parameter { key: KEY, expected: "an integer from 0 up" };
        let size = reader.size("the number of bytes")?.ok_or(expected)?;
        once(&mut binary_size, size, reader, KEY)?;
        Ok(true)
    })?;
    Ok((parameters, binary_size))
}

/// Makes the tensor of the fields read.
fn finish(fields: Fields<'_>, kind: Kind, tail: &mut Bytes) -> Result<Tensor, Problem> {
    let datatype = fields.datatype.ok_or(Problem::Missing("datatype"))?;
    let shape = fields.shape.ok_or(Problem::Missing("shape"))?;
    match (fields.data, fields.binary_size) {
        (Some(Data::Read(tensor)), None) => Ok(tensor),
        (Some(Data::Skipped(mut reader)), None) => data::read(&mut reader, datatype, shape, kind.null()),
        (None, Some(size)) if size <= tail.len() => Tensor::new(datatype, shape, tail.split_to(size)),
        (None, Some(size)) => Err(Problem::BinaryMissing { size, left: tail.len() }),
        (Some(_), Some(_)) => Err(Problem::TwoData),
        (None, None) => Err(Problem::NoData),
    }
}
