//! Reads requests of the V1 protocol, in one pass.

use compact_str::{CompactString, format_compact};
use smallvec::SmallVec;

use super::{
    Form, Input, Request,
    nested::{Nested, first_key},
};
use crate::{
    Datatype, DecodeError, InferRequest, InputTensor, Parameters, Problem,
    excerpt::excerpt,
    json::{
        data::{BASE64, Nulls},
        reader::{Reader, once},
    },
};

/// Reads a request to a model with these inputs. In the row form, the first axis of each input counts rows.
///
/// Keys other than `instances` and `inputs` are skipped. `nulls` says what `null` means as an element.
///
/// # Errors
/// [`DecodeError`] names the instance, input and byte. Faults are: neither form or both, no instance, an input that is
/// missing, unknown or given twice, another nesting than the model's shape, `null` where it is refused, a number
/// outside its datatype.
pub fn decode_request(body: &[u8], inputs: &[Input<'_>], nulls: Nulls) -> Result<Request, DecodeError> {
    let mut reader = Reader::new(body);
    let (mut rows, mut columns) = (None, None);
    reader.object("a JSON object", |reader, key| {
        match key {
            b"instances" => {
                let value = read_instances(reader, inputs, nulls)?;
                once(&mut rows, value, reader, "instances")?;
            }
            b"inputs" => {
                let value = read_columns(reader, inputs, nulls)?;
                once(&mut columns, value, reader, "inputs")?;
            }
            _ => reader.skip()?,
        }
        Ok::<_, DecodeError>(())
    })?;
    reader.end()?;
    let (form, tensors) = match (rows, columns) {
        (Some((count, tensors)), None) => (Form::Rows(count), tensors),
        (None, Some(tensors)) => (Form::Columns, tensors),
        (Some(_), Some(_)) => return Err(Problem::TwoForms.into()),
        (None, None) => return Err(Problem::NoForm.into()),
    };
    Ok(Request { form, infer: InferRequest { inputs: tensors, ..InferRequest::default() } })
}

type Tensors<'a> = SmallVec<[Nested<'a>; 2]>;

fn read_instances(
    reader: &mut Reader<'_>,
    inputs: &[Input<'_>],
    nulls: Nulls,
) -> Result<(usize, Vec<InputTensor>), DecodeError> {
    if let Some(scalar) = inputs.iter().find(|input| input.dims.is_empty()) {
        return Err(DecodeError::named("input", scalar.name, Problem::NoRows));
    }
    let mut tensors: Tensors<'_> = inputs.iter().map(|input| Nested::new(input, nulls)).collect();
    let mut count = 0;
    reader.array("an array of instances", |reader, index| {
        count += 1;
        let place = |name: Option<&str>| match name {
            Some(name) => format_compact!("instance {index}, input '{}'", excerpt(name)),
            None => format_compact!("instance {index}"),
        };
        read_tensors(reader, &mut tensors, 1, place)
    })?;
    if count == 0 {
        return Err(Problem::NoInstances.into());
    }
    Ok((count, finish(tensors, Some(count))?))
}

fn read_columns(
    reader: &mut Reader<'_>,
    inputs: &[Input<'_>],
    nulls: Nulls,
) -> Result<Vec<InputTensor>, DecodeError> {
    let mut tensors: Tensors<'_> = inputs.iter().map(|input| Nested::new(input, nulls)).collect();
    let place = |name: Option<&str>| match name {
        Some(name) => format_compact!("input '{}'", excerpt(name)),
        None => "inputs".into(),
    };
    read_tensors(reader, &mut tensors, 0, place)?;
    finish(tensors, None)
}

/// Reads the values of all inputs from `axis` on. They are an object by name or, if the model has one input, its values
/// directly.
fn read_tensors(
    reader: &mut Reader<'_>,
    tensors: &mut [Nested<'_>],
    axis: usize,
    place: impl Fn(Option<&str>) -> CompactString,
) -> Result<(), DecodeError> {
    let at = |name: Option<&str>, problem| DecodeError { place: Some(place(name)), problem };
    if let [only] = tensors
        && !is_by_name(reader, only)
    {
        return only.read(reader, axis).map_err(|problem| at(Some(only.input.name), problem));
    }
    // One bit per input would be enough, but a model may have any number of inputs.
    let mut given: SmallVec<[bool; 8]> = tensors.iter().map(|_| false).collect();
    reader
        .object("an object with the inputs by name", |reader, key| {
            let Some(index) = tensors.iter().position(|tensor| tensor.input.name.as_bytes() == key) else {
                let known = tensors.iter().map(|tensor| tensor.input.name).collect::<Vec<_>>().join(", ");
                let key = String::from_utf8_lossy(key);
                return Err(at(Some(&key), Problem::UnknownInput { known: known.into() }));
            };
            let tensor = &mut tensors[index];
            let at = |problem| at(Some(tensor.input.name), problem);
            if std::mem::replace(&mut given[index], true) {
                return Err(at(Problem::Twice));
            }
            tensor.read(reader, axis).map_err(at)
        })
        .map_err(|error| if error.place.is_some() { error } else { at(None, error.problem) })?;
    match given.iter().position(|given| !given) {
        Some(missing) => Err(at(Some(tensors[missing].input.name), Problem::NotGiven)),
        None => Ok(()),
    }
}

/// Whether the next value is an object with inputs by name. An element of BYTES in base64 is an object too.
fn is_by_name(reader: &mut Reader<'_>, only: &Nested<'_>) -> bool {
    if reader.peek() != Some(b'{') {
        return false;
    }
    let may_be_base64 = only.input.datatype == Datatype::Bytes || only.input.pictures;
    !may_be_base64 || only.input.name == BASE64 || first_key(*reader) != Some(true)
}

fn finish(tensors: Tensors<'_>, rows: Option<usize>) -> Result<Vec<InputTensor>, DecodeError> {
    let finish = |nested: Nested<'_>| {
        let name = nested.input.name;
        let tensor = nested.finish(rows).map_err(|problem| DecodeError::named("input", name, problem))?;
        Ok(InputTensor { name: name.into(), parameters: Parameters::default(), tensor })
    };
    tensors.into_iter().map(finish).collect()
}
