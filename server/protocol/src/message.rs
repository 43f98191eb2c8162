//! Requests and responses of inference, whatever wire they came by.

use compact_str::CompactString;

use crate::{Parameter, Parameters, Tensor};

/// A request for inference. The model's name and version come beside it (from the path, in REST).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// The client's own id, echoed in the response.
    pub id: Option<CompactString>,
    /// Parameters of the whole request.
    pub parameters: Parameters,
    /// Input tensors in the order in which they came.
    pub inputs: Vec<InputTensor>,
    /// Outputs to answer with, in this order; empty for all.
    pub outputs: Vec<RequestedOutput>,
}

impl InferRequest {
    /// Whether the output `name` goes out as binary data.
    ///
    /// A listed output says so by its own parameter `binary_data`; the request's `binary_data_output` is
    /// for the outputs that are not listed, as in Triton and `KServe`.
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
    /// Parameters of the tensor other than those that say where its bytes are.
    pub parameters: Parameters,
    /// The tensor. Its data has exactly the bytes that its datatype and shape ask for.
    pub tensor: Tensor,
}

/// An output that the client asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestedOutput {
    /// Name of the model's output.
    pub name: CompactString,
    /// Its parameters, `binary_data` and `classification` among them.
    pub parameters: Parameters,
}

/// The answer to an [`InferRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct InferResponse {
    /// Name of the model that answered.
    pub model_name: CompactString,
    /// Version of the model that answered.
    pub model_version: CompactString,
    /// The request's id, where it had one.
    pub id: Option<CompactString>,
    /// Output tensors by name, in the order asked for.
    pub outputs: Vec<(CompactString, Tensor)>,
}
