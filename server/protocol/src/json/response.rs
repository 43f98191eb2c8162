//! Inference responses, as a client reads them.

use bytes::Bytes;
use compact_str::CompactString;

use super::{
    reader::{Reader, once},
    tensor::{self, Kind},
};
use crate::{DecodeError, InferResponse, Problem, Tensor};

/// Reads the JSON of a response. `tail` is the binary data of the outputs, which follows the JSON.
pub(crate) fn decode(json: &[u8], mut tail: Bytes) -> Result<InferResponse, DecodeError> {
    let mut reader = Reader::new(json);
    let (mut id, mut model_name, mut model_version, mut outputs) = (None, None, None, None);
    reader.object("a JSON object", |reader, key| {
        match key {
            b"id" | b"model_version" if reader.null() => {}
            b"id" => once(&mut id, string(reader)?, reader, "id")?,
            b"model_name" => once(&mut model_name, string(reader)?, reader, "model_name")?,
            b"model_version" => once(&mut model_version, string(reader)?, reader, "model_version")?,
            b"outputs" => {
                let value = read_outputs(reader, &mut tail)?;
                once(&mut outputs, value, reader, "outputs")?;
            }
            _ => reader.skip()?,
        }
        Ok::<_, DecodeError>(())
    })?;
    reader.end()?;
    if !tail.is_empty() {
        return Err(Problem::Leftover(tail.len()).into());
    }
    Ok(InferResponse {
        model_name: model_name.ok_or(Problem::Missing("model_name"))?,
        model_version: model_version.unwrap_or_default(),
        id,
        outputs: outputs.ok_or(Problem::Missing("outputs"))?,
    })
}

fn string(reader: &mut Reader<'_>) -> Result<CompactString, Problem> {
    Ok(reader.string("a string")?.into())
}

fn read_outputs(
    reader: &mut Reader<'_>,
    tail: &mut Bytes,
) -> Result<Vec<(CompactString, Tensor)>, DecodeError> {
    let mut outputs = Vec::new();
    reader.array("an array of outputs", |reader, index| {
        let output = tensor::read(reader, index, Kind::Output, tail)?;
        outputs.push((output.name, output.tensor));
        Ok::<_, DecodeError>(())
    })?;
    Ok(outputs)
}
