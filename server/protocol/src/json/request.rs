//! Inference requests.

use bytes::Bytes;
use compact_str::CompactString;

use super::{
    data::Nulls,
    parameters,
    reader::{Reader, once},
    tensor::{self, Kind},
};
use crate::{DecodeError, InferRequest, InputTensor, Parameter, Parameters, Problem, RequestedOutput};

/// Reads the JSON of a request. `tail` is the binary data of the inputs, which follows the JSON.
pub(crate) fn decode(json: &[u8], mut tail: Bytes, nulls: Nulls) -> Result<InferRequest, DecodeError> {
    let mut reader = Reader::new(json);
    let (mut id, mut parameters, mut inputs, mut outputs) = (None, None, None, None);
    reader.object("a JSON object", |reader, key| {
        match key {
            b"id" | b"outputs" if reader.null() => {}
            b"id" => {
                let value = CompactString::from(reader.string("a string")?);
                once(&mut id, value, reader, "id")?;
            }
            b"parameters" => {
                let value = parameters::read(reader, |_, _| Ok(false))?;
                check_flag(&value, "binary_data_output")?;
                once(&mut parameters, value, reader, "parameters")?;
            }
            b"inputs" => {
                let value = read_inputs(reader, &mut tail, nulls)?;
                once(&mut inputs, value, reader, "inputs")?;
            }
            b"outputs" => {
                let value = read_outputs(reader)?;
                once(&mut outputs, value, reader, "outputs")?;
            }
            _ => reader.skip()?,
        }
        Ok::<_, DecodeError>(())
    })?;
    reader.end()?;
    let inputs = inputs.ok_or(Problem::Missing("inputs"))?;
    if !tail.is_empty() {
        return Err(Problem::Leftover(tail.len()).into());
    }
    let (parameters, outputs) = (parameters.unwrap_or_default(), outputs.unwrap_or_default());
    Ok(InferRequest { id, parameters, inputs, outputs })
}

fn read_inputs(
    reader: &mut Reader<'_>,
    tail: &mut Bytes,
    nulls: Nulls,
) -> Result<Vec<InputTensor>, DecodeError> {
    let mut inputs = Vec::new();
    reader.array("an array of inputs", |reader, index| {
        inputs.push(tensor::read(reader, index, Kind::Input(nulls), tail)?);
        Ok::<_, DecodeError>(())
    })?;
    Ok(inputs)
}

fn read_outputs(reader: &mut Reader<'_>) -> Result<Vec<RequestedOutput>, DecodeError> {
    let mut outputs = Vec::new();
    reader.array("an array of outputs", |reader, index| {
        let (mut name, mut parameters) = (None, None);
        read_output(reader, &mut name, &mut parameters).map_err(|problem| match &name {
            Some(name) => DecodeError::named("output", name, problem),
            None => DecodeError::numbered("output", index, problem),
        })?;
        let Some(name) = name else {
            return Err(DecodeError::numbered("output", index, Problem::Missing("name")));
        };
        outputs.push(RequestedOutput { name, parameters: parameters.unwrap_or_default() });
        Ok(())
    })?;
    Ok(outputs)
}

fn read_output(
    reader: &mut Reader<'_>,
    name: &mut Option<CompactString>,
    parameters: &mut Option<Parameters>,
) -> Result<(), Problem> {
    reader.object("an object", |reader, key| match key {
        b"name" => {
            let value = reader.string("a string")?.into();
            once(name, value, reader, "name")
        }
        b"parameters" => {
            let value = parameters::read(reader, |_, key| {
                if key.starts_with(b"shared_memory_") { Err(Problem::SharedMemory) } else { Ok(false) }
            })?;
            check_flag(&value, "binary_data")?;
            once(parameters, value, reader, "parameters")
        }
        _ => reader.skip(),
    })
}

/// Checks that the parameter `key`, if it is given, is a boolean.
fn check_flag(parameters: &Parameters, key: &'static str) -> Result<(), Problem> {
    match parameters.get(key) {
        None | Some(Parameter::Bool(_)) => Ok(()),
        Some(_) => Err(Problem::Parameter { key, expected: "true or false" }),
    }
}
