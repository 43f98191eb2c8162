//! Inference requests: conversion from the gRPC message and, for clients, to it.

use std::collections::HashMap;

use bytes::Bytes;
use compact_str::CompactString;

use super::{
    contents,
    messages::{
        InferParameter, ModelInferRequest,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
};
use crate::{
    DecodeError, InferRequest, InputTensor, Parameter, Parameters, Problem, RequestedOutput, Shape, Tensor,
};

/// Where a message has the elements of its tensors. All tensors of a message use the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorForm {
    /// Packed bytes in the message, outside the tensors.
    Raw,
    /// Lists of numbers, inside the tensors.
    Typed,
}

/// Decodes a request. The second value says where its tensors had their elements; the response uses the same place. The
/// caller reads the model's name and version. Raw tensors share the memory of the message.
///
/// # Errors
/// [`DecodeError`] names the tensor. Faults are: another number of raw entries than inputs, elements in both places or
/// in the list of another datatype, another number of elements than the shape gives, a number outside its datatype.
pub fn decode_request(message: ModelInferRequest) -> Result<(InferRequest, TensorForm), DecodeError> {
    let ModelInferRequest { id, parameters, inputs, outputs, raw_input_contents, .. } = message;
    let form = if raw_input_contents.is_empty() { TensorForm::Typed } else { TensorForm::Raw };
    if form == TensorForm::Raw && raw_input_contents.len() != inputs.len() {
        let (raw, inputs) = (raw_input_contents.len(), inputs.len());
        return Err(Problem::RawCount { raw, inputs }.into());
    }
    let mut raw = raw_input_contents.into_iter();
    let inputs = inputs.into_iter().map(|input| decode_input(input, raw.next())).collect::<Result<_, _>>()?;
    let output = |output: InferRequestedOutputTensor| RequestedOutput {
        name: output.name.into(),
        parameters: decode_parameters(output.parameters),
    };
    let request = InferRequest {
        id: (!id.is_empty()).then(|| id.into()),
        parameters: decode_parameters(parameters),
        inputs,
        outputs: outputs.into_iter().map(output).collect(),
    };
    Ok((request, form))
}

fn decode_input(input: InferInputTensor, raw: Option<Bytes>) -> Result<InputTensor, DecodeError> {
    let InferInputTensor { name, datatype, shape, parameters, contents } = input;
    let tensor = decode_tensor(&datatype, &shape, contents, raw)
        .map_err(|problem| DecodeError::named("input", &name, problem))?;
    Ok(InputTensor { name: name.into(), parameters: decode_parameters(parameters), tensor })
}

/// Reads the elements of one tensor, from its raw bytes or from its typed contents.
pub(super) fn decode_tensor(
    datatype: &str,
    shape: &[i64],
    typed: Option<super::messages::InferTensorContents>,
    raw: Option<Bytes>,
) -> Result<Tensor, Problem> {
    let datatype = datatype.parse()?;
    let dim = |&dim: &i64| usize::try_from(dim).map_err(|_| Problem::NegativeDim(dim));
    let shape = Shape(shape.iter().map(dim).collect::<Result<_, _>>()?);
    match (typed, raw) {
        (None, Some(raw)) => Tensor::new(datatype, shape, raw),
        (Some(_), Some(_)) => Err(Problem::RawAndContents),
        (typed, None) => contents::unpack(datatype, shape, typed.unwrap_or_default()),
    }
}

fn decode_parameters(parameters: HashMap<String, InferParameter>) -> Parameters {
    let known = parameters.into_iter().filter_map(|(name, parameter)| {
        let value = match parameter.parameter_choice? {
            ParameterChoice::BoolParam(value) => Parameter::Bool(value),
            ParameterChoice::Int64Param(value) => Parameter::Int64(value),
            ParameterChoice::StringParam(value) => Parameter::String(value.into()),
            ParameterChoice::DoubleParam(value) => Parameter::Double(value),
            ParameterChoice::Uint64Param(value) => {
                i64::try_from(value).map_or(Parameter::Uint64(value), Parameter::Int64)
            }
        };
        Some((CompactString::from(name), value))
    });
    Parameters(known.collect())
}

/// Encodes a request for `model`. An empty `version` means the newest one. If any tensor is FP16 or BF16, all tensors
/// are sent raw, because typed contents have no list for these datatypes.
pub fn encode_request(
    request: &InferRequest,
    model: &str,
    version: &str,
    form: TensorForm,
) -> ModelInferRequest {
    let raw =
        form == TensorForm::Raw || !request.inputs.iter().all(|input| contents::has_list(&input.tensor));
    let input = |input: &InputTensor| InferInputTensor {
        name: input.name.to_string(),
        datatype: input.tensor.datatype.to_string(),
        shape: input.tensor.shape.0.iter().map(|&dim| dim as i64).collect(),
        parameters: encode_parameters(&input.parameters),
        contents: (!raw).then(|| contents::pack(&input.tensor)),
    };
    let output = |output: &RequestedOutput| InferRequestedOutputTensor {
        name: output.name.to_string(),
        parameters: encode_parameters(&output.parameters),
    };
    let bytes = request.inputs.iter().filter(|_| raw).map(|input| input.tensor.data.clone());
    ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: request.id.as_ref().map(ToString::to_string).unwrap_or_default(),
        parameters: encode_parameters(&request.parameters),
        inputs: request.inputs.iter().map(input).collect(),
        outputs: request.outputs.iter().map(output).collect(),
        raw_input_contents: bytes.collect(),
    }
}

fn encode_parameters(parameters: &Parameters) -> HashMap<String, InferParameter> {
    let pair = |(name, value): &(CompactString, Parameter)| {
        let choice = match value {
            Parameter::Bool(value) => ParameterChoice::BoolParam(*value),
            Parameter::Int64(value) => ParameterChoice::Int64Param(*value),
            Parameter::Uint64(value) => ParameterChoice::Uint64Param(*value),
            Parameter::Double(value) => ParameterChoice::DoubleParam(*value),
            Parameter::String(value) => ParameterChoice::StringParam(value.to_string()),
        };
        (name.to_string(), InferParameter { parameter_choice: Some(choice) })
    };
    parameters.0.iter().map(pair).collect()
}
