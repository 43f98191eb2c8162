//! Reads the object of a tensor: its datatype, shape and parameters, and where its elements are.

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use super::{
    data::{self, Nulls, WORDS},
    parameters,
    reader::{Reader, once},
};
use crate::{
    Datatype, DecodeError, InputTensor, Parameter, Parameters, Problem, Shape, Tensor, bytes_elements,
    decode_base64, excerpt::excerpt, push_bytes_element,
};

/// Whether the tensors are a request's inputs or a response's outputs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Input(Nulls),
    Output,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Output => "output",
        }
    }

    fn nulls(self) -> Nulls {
        match self {
            Self::Input(nulls) => nulls,
            // The encoder writes NaN and infinity as null.
            Self::Output => Nulls::Nan,
        }
    }
}

/// Parameter that says how the elements in `data` are encoded.
const CONTENT_TYPE: &str = "content_type";

/// The fields of a tensor's object, as far as they have been read.
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
    /// The data came before the datatype or the shape. It is read later, from this position.
    Skipped(Reader<'a>),
}

/// Reads the next tensor. If its data is binary, takes the bytes off the front of `tail`.
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
    let mut parameters = fields.parameters.take().unwrap_or_default();
    let is_base64 = is_base64(kind, &fields, &parameters);
    if is_base64 {
        parameters.0.retain(|(key, _)| key != CONTENT_TYPE); // it described the encoding of `data`, which is decoded now
    }
    let tensor = finish(fields, kind, tail);
    match tensor.and_then(|tensor| if is_base64 { decoded(tensor) } else { Ok(tensor) }) {
        Ok(tensor) => Ok(InputTensor { name, parameters, tensor }),
        Err(problem) => Err(DecodeError::named(kind.name(), &name, problem)),
    }
}

/// Whether the elements of a BYTES tensor are base64, as clients of `MLServer` declare it. Other values of the
/// parameter do not concern the encoding.
fn is_base64(kind: Kind, fields: &Fields<'_>, parameters: &Parameters) -> bool {
    matches!(kind, Kind::Input(_))
        && fields.datatype == Some(Datatype::Bytes)
        && fields.data.is_some()
        && matches!(parameters.get(CONTENT_TYPE), Some(Parameter::String(value)) if value == "base64")
}

/// Decodes each element of a BYTES tensor from base64.
#[cold]
fn decoded(tensor: Tensor) -> Result<Tensor, Problem> {
    let mut packed = Vec::with_capacity(tensor.data.len());
    for (index, element) in bytes_elements(&tensor.data).enumerate() {
        let bytes = decode_base64(element).map_err(|_| {
            let value = excerpt(&String::from_utf8_lossy(element));
            Problem::Base64Element { index, value }
        })?;
        push_bytes_element(&mut packed, &bytes);
    }
    Ok(Tensor { data: packed.into(), ..tensor })
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
                Data::Read(data::read(reader, datatype, shape.clone(), kind.nulls())?)
            } else {
                let start = *reader;
                reader.skip_with(&WORDS)?;
                Data::Skipped(start)
            };
            once(&mut fields.data, data, reader, "data")
        }
        _ => reader.skip(),
    })
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

/// Reads a tensor's parameters. Returns `binary_data_size` separately from the others.
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

/// Makes a tensor from the fields that were read.
fn finish(fields: Fields<'_>, kind: Kind, tail: &mut Bytes) -> Result<Tensor, Problem> {
    let datatype = fields.datatype.ok_or(Problem::Missing("datatype"))?;
    let shape = fields.shape.ok_or(Problem::Missing("shape"))?;
    match (fields.data, fields.binary_size) {
        (Some(Data::Read(tensor)), None) => Ok(tensor),
        (Some(Data::Skipped(mut reader)), None) => data::read(&mut reader, datatype, shape, kind.nulls()),
        (None, Some(size)) if size <= tail.len() => Tensor::new(datatype, shape, tail.split_to(size)),
        (None, Some(size)) => Err(Problem::BinaryMissing { size, left: tail.len() }),
        (Some(_), Some(_)) => Err(Problem::TwoData),
        (None, None) => Err(Problem::NoData),
    }
}
