//! Metadata of the server and of its model.

use anyhow::{Context as _, Result, bail};
use oip::Datatype;
use serde::Deserialize;

/// Metadata of a model: the body of `GET /v2/models/{model}`.
#[derive(Clone, Debug, Deserialize)]
pub struct ModelMetadata {
    /// Name of the model.
    pub name: String,
    /// Inputs that a request must have.
    pub inputs: Vec<TensorMetadata>,
    /// Outputs of a response.
    pub outputs: Vec<TensorMetadata>,
}

/// Metadata of an input or output.
#[derive(Clone, Debug, Deserialize)]
pub struct TensorMetadata {
    /// Name of the tensor.
    pub name: String,
    /// Name of the datatype in the protocol.
    pub datatype: String,
    /// Dimensions of the tensor; -1 for one that varies.
    pub shape: Vec<i64>,
}

/// Metadata of the server: the body of `GET /v2`.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerMetadata {
    /// Name of the server.
    pub name: String,
    /// Version of the server.
    pub version: String,
}

impl ModelMetadata {
    /// Checks that requests can be generated and responses checked with this metadata.
    ///
    /// # Errors
    /// The protocol does not define a datatype, or a dimension is below -1.
    pub fn checked(self) -> Result<Self> {
        for tensor in self.inputs.iter().chain(&self.outputs) {
            tensor.datatype()?;
            if let Some(dim) = tensor.shape.iter().find(|&&dim| dim < -1) {
                bail!("the server's model metadata is malformed: '{}' has a dimension of {dim}", tensor.name);
            }
        }
        Ok(self)
    }

    /// Whether the first dimension of every input and output varies, so that a request may have several rows.
    pub fn has_batch_axis(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).all(|tensor| tensor.shape.first() == Some(&-1))
    }
}

impl TensorMetadata {
    /// The datatype, parsed.
    ///
    /// # Errors
    /// The protocol does not define a datatype of this name.
    pub fn datatype(&self) -> Result<Datatype> {
        self.datatype.parse().with_context(|| format!("the datatype of '{}'", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = r#"{"name":"digits","versions":["1"],"platform":"onnxruntime_onnx",
        "inputs":[{"name":"image","datatype":"FP32","shape":[-1,28,28,1]}],
        "outputs":[{"name":"probabilities","datatype":"FP32","shape":[-1,10]}]}"#;

    #[test]
    fn reads_a_batching_model() {
        let read = |text: &str| serde_json::from_str::<ModelMetadata>(text).unwrap().checked().unwrap();
        let digits = read(DIGITS);
        assert!(digits.has_batch_axis());
        assert_eq!(digits.inputs[0].datatype().unwrap(), Datatype::Fp32);
        let fixed = DIGITS.replace("[-1,10]", "[1,10]");
        assert!(!read(&fixed).has_batch_axis());
    }

    #[test]
    fn refuses_invalid_metadata() {
        for (right, wrong, names) in
            [("FP32", "FP31", "the datatype of 'image'"), ("-1,28", "-2,28", "a dimension of -2")]
        {
            let metadata: ModelMetadata = serde_json::from_str(&DIGITS.replacen(right, wrong, 1)).unwrap();
            let error = format!("{:#}", metadata.checked().unwrap_err());
            assert!(error.contains(names), "{error}");
        }
    }
}
