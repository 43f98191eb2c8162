//! Inference responses: conversion to the gRPC message and, for clients, from it.

use compact_str::CompactString;

use super::{
    TensorForm, contents,
    messages::{ModelInferResponse, model_infer_response::InferOutputTensor},
    request::decode_tensor,
};
use crate::{DecodeError, InferResponse, Problem, Tensor};

/// Encodes a response in the form of its request. If any output is FP16 or BF16, which typed contents cannot hold, all
/// outputs are sent raw, because clients index the raw entries by the position of the output.
pub fn encode_response(response: InferResponse, form: TensorForm) -> ModelInferResponse {
    let InferResponse { model_name, model_version, id, outputs } = response;
    let raw = form == TensorForm::Raw || !outputs.iter().all(|(_, tensor)| contents::has_list(tensor));
    let output = |(name, tensor): &(CompactString, Tensor)| InferOutputTensor {
        name: name.to_string(),
        datatype: tensor.datatype.to_string(),
        shape: tensor.shape.0.iter().map(|&dim| dim as i64).collect(),
        contents: (!raw).then(|| contents::pack(tensor)),
        ..InferOutputTensor::default()
    };
    ModelInferResponse {
        model_name: model_name.into_string(),
        model_version: model_version.into_string(),
        id: id.map(CompactString::into_string).unwrap_or_default(),
        outputs: outputs.iter().map(output).collect(),
        raw_output_contents: outputs.into_iter().filter(|_| raw).map(|(_, tensor)| tensor.data).collect(),
        ..ModelInferResponse::default()
    }
}

/// Decodes a response.
///
/// # Errors
/// [`DecodeError`] names the tensor with the fault.
pub fn decode_response(message: ModelInferResponse) -> Result<InferResponse, DecodeError> {
    let ModelInferResponse { model_name, model_version, id, outputs, raw_output_contents, .. } = message;
    if !raw_output_contents.is_empty() && raw_output_contents.len() != outputs.len() {
        let (raw, inputs) = (raw_output_contents.len(), outputs.len());
        return Err(Problem::RawCount { raw, inputs }.into());
    }
    let mut raw = raw_output_contents.into_iter();
    let output = |output: InferOutputTensor| {
        let InferOutputTensor { name, datatype, shape, contents, .. } = output;
        let tensor = decode_tensor(&datatype, &shape, contents, raw.next())
            .map_err(|problem| DecodeError::named("output", &name, problem))?;
        Ok((name.into(), tensor))
    };
    Ok(InferResponse {
        model_name: model_name.into(),
        model_version: model_version.into(),
        id: (!id.is_empty()).then(|| id.into()),
        outputs: outputs.into_iter().map(output).collect::<Result<_, DecodeError>>()?,
    })
}
