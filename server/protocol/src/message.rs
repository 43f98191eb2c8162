//! Inference requests and responses, independent of the wire format.

use compact_str::CompactString;

use crate::{Parameter, Parameters, Tensor};

/// An inference request. The model's name and version are not part of it: over REST, the path has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// The client's id of the request, which the response repeats.
    pub id: Option<CompactString>,
    /// Parameters of the whole request.
    pub parameters: Parameters,
    /// Input tensors in the order in which they came.
    pub inputs: Vec<InputTensor>,
    /// The outputs that the client wants, in this order. Empty for all outputs.
    pub outputs: Vec<RequestedOutput>,
}

impl InferRequest {
    /// Whether the output `name` is sent as binary data.
    ///
    /// A listed output decides it by its own parameter `binary_data`. For outputs that are not listed, the request's
    /// parameter `binary_data_output` decides, as in Triton and `KServe`.
    pub fn wants_binary(&self, name: &str) -> bool {
        let parameter = match self.outputs.iter().find(|output| output.name == name) {
            Some(output) => output.parameters.get("binary_data"),
            None => self.parameters.get("binary_data_output"),
        };
        matches!(parameter, Some(Parameter::Bool(true)))
    }
}

/// An input tensor with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct InputTensor {
    /// Name of the model's input.
    pub name: CompactString,
    /// Parameters of the tensor, without those that say where its data is.
    pub parameters: Parameters,
    /// The tensor. The size of its data matches its datatype and shape.
    pub tensor: Tensor,
}

/// An output that the client asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestedOutput {
    /// Name of the model's output.
    pub name: CompactString,
    /// Its parameters, for example `binary_data` and `classification`.
    pub parameters: Parameters,
}

/// The response to an [`InferRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct InferResponse {
    /// Name of the model that answered.
    pub model_name: CompactString,
    /// Version of the model that answered.
    pub model_version: CompactString,
    /// The id of the request, if it had one.
    pub id: Option<CompactString>,
    /// Output tensors by name, in the order of the request.
    pub outputs: Vec<(CompactString, Tensor)>,
}
