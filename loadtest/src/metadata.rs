//! What the server says about itself and its model.

use anyhow::{Context as _, Result, bail};
use oip::Datatype;
use serde::Deserialize;

/// The model's inputs and outputs: the body of `GET /v2/models/{model}`.
#[derive(Clone, Debug, Deserialize)]
pub struct ModelMetadata {
    /// The model's name.
    pub name: String,
    /// Inputs that a request must have.
    pub inputs: Vec<TensorMetadata>,
    /// Outputs that an answer has.
    pub outputs: Vec<TensorMetadata>,
}

/// Name, datatype and shape of an input or output.
#[derive(Clone, Debug, Deserialize)]
pub struct TensorMetadata {
    /// The tensor's name.
    pub name: String,
    /// Its datatype's name on the wire.
    pub datatype: String,
    /// Its dimensions, -1 where they vary.
    pub shape: Vec<i64>,
}

/// Name and version of the server: the body of `GET /v2`.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerMetadata {
    /// The server's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl ModelMetadata {
    /// What the server said, where requests can be made and answers checked by it.
    ///
    /// # Errors
    /// A datatype that the protocol does not have, or a dimension that is none.
    pub fn checked(self) -> Result<Self> {
        for tensor in self.inputs.iter().chain(&self.outputs) {
            tensor.datatype()?;
            if let Some(dim) = tensor.shape.iter().find(|&&dim| dim < -1) {
                bail!("the server's model metadata is malformed: '{}' has a dimension of {dim}", tensor.name);
            }
        }
        Ok(self)
    }

    /// Whether every input and output has a first dimension that varies: rows of requests may differ.
    pub fn has_batch_axis(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).all(|tensor| tensor.shape.first() == Some(&-1))
    }
}

impl TensorMetadata {
    /// The datatype.
    ///
    /// # Errors
    /// The protocol has no datatype of that name.
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
    fn refuses_what_is_no_metadata() {
        for (right, wrong, names) in
            [("FP32", "FP31", "the datatype of 'image'"), ("-1,28", "-2,28", "a dimension of -2")]
        {
            let metadata: ModelMetadata = serde_json::from_str(&DIGITS.replacen(right, wrong, 1)).unwrap();
            let error = format!("{:#}", metadata.checked().unwrap_err());
            assert!(error.contains(names), "{error}");
        }
    }
}
