//! Checks responses: they must match the model's metadata, and the same input must give the same response throughout
//! the run.

use std::{fmt, sync::OnceLock};

use anyhow::Result;
use half::{bf16, f16};
use oip::{Datatype, InferResponse, Tensor};

use crate::{inputs::Payload, metadata::ModelMetadata, transport::Answer};

/// Lowest tolerance for FP16 and BF16, which have 8 to 11 significant bits.
const HALF_TOLERANCE: f64 = 1e-2;

/// Checks the responses to one request. All connections share it.
#[derive(Debug)]
pub struct Checker {
    model: String,
    outputs: Vec<ExpectedOutput>,
    /// Largest difference from the first response that is allowed: absolute for values up to 1, relative above.
    tolerance: f64,
    first: OnceLock<(Answer, InferResponse)>,
}

/// An output according to the metadata. A dimension is `None` if it varies.
#[derive(Debug)]
struct ExpectedOutput {
    name: String,
    datatype: Datatype,
    dims: Vec<Option<usize>>,
}

impl Checker {
    /// A checker for responses to `payload`. It expects the outputs that the request asks for, or else all.
    ///
    /// # Errors
    /// The model does not have an output that the request asks for.
    pub fn new(model: &ModelMetadata, payload: &Payload, tolerance: f64) -> Result<Self> {
        let requested = &payload.request.outputs;
        for output in requested {
            if !model.outputs.iter().any(|known| known.name == output.name) {
                anyhow::bail!(
                    "the request asks for output '{}', which model '{}' does not have",
                    output.name,
                    model.name
                );
            }
        }
        let outputs = model
            .outputs
            .iter()
            .filter(|output| {
                requested.is_empty() || requested.iter().any(|wanted| wanted.name == output.name)
            })
            .map(|output| {
                let mut dims: Vec<_> = output.shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
                if model.has_batch_axis() {
                    dims[0] = Some(payload.rows);
                }
                Ok(ExpectedOutput { name: output.name.clone(), datatype: output.datatype()?, dims })
            })
            .collect::<Result<_>>()?;
        Ok(Self { model: model.name.clone(), outputs, tolerance, first: OnceLock::new() })
    }

    /// Checks one response. It is decoded only if its bytes differ from those of the first one.
    ///
    /// # Errors
    /// One line that says what is wrong with the response.
    pub fn check(
        &self,
        answer: Answer,
        decode: impl FnOnce(&Answer) -> Result<InferResponse, String>,
    ) -> Result<(), String> {
        if self.first.get().is_some_and(|(first, _)| *first == answer) {
            return Ok(());
        }
        let response = decode(&answer)?;
        self.check_response(&response)?;
        let (_, first) = self.first.get_or_init(|| (answer, response.clone()));
        self.compare(first, &response)
    }

    fn check_response(&self, response: &InferResponse) -> Result<(), String> {
        if response.model_name != self.model {
            return Err(format!("the answer is of model '{}', not '{}'", response.model_name, self.model));
        }
        for expected in &self.outputs {
            expected.check(output(response, &expected.name)?)?;
        }
        if response.outputs.len() != self.outputs.len() {
            return Err(format!(
                "the answer has {} outputs, expected {}",
                response.outputs.len(),
                self.outputs.len()
            ));
        }
        Ok(())
    }

    fn compare(&self, first: &InferResponse, response: &InferResponse) -> Result<(), String> {
        for expected in &self.outputs {
            let (first, tensor) = (output(first, &expected.name)?, output(response, &expected.name)?);
            if first.shape != tensor.shape {
                let (was, is) = (&first.shape, &tensor.shape);
                return Err(format!(
                    "output '{}' has the shape {is}, {was} in the first answer",
                    expected.name
                ));
            }
            let tolerance = match tensor.datatype {
                Datatype::Fp16 | Datatype::Bf16 => self.tolerance.max(HALF_TOLERANCE),
                _ => self.tolerance,
            };
            difference(first, tensor, tolerance)
                .map_or(Ok(()), |difference| Err(format!("output '{}' {difference}", expected.name)))?;
        }
        Ok(())
    }
}

impl ExpectedOutput {
    fn check(&self, tensor: &Tensor) -> Result<(), String> {
        let Self { name, datatype, dims } = self;
        if tensor.datatype != *datatype {
            return Err(format!("output '{name}' has datatype {}, expected {datatype}", tensor.datatype));
        }
        let shape = &tensor.shape.0;
        if shape.len() != dims.len()
            || shape.iter().zip(dims).any(|(is, dim)| dim.is_some_and(|dim| dim != *is))
        {
            return Err(format!("output '{name}' has the shape {}, expected {}", tensor.shape, Dims(dims)));
        }
        if let (Some(size), Some(elements)) = (datatype.size(), tensor.shape.elements())
            && tensor.data.len() != elements * size
        {
            let bytes = tensor.data.len();
            return Err(format!("output '{name}' has {bytes} bytes, expected {}", elements * size));
        }
        match floats(tensor).and_then(|mut values| values.position(|value| !value.is_finite())) {
            Some(index) => Err(format!("output '{name}' is not finite at element {index}")),
            None => Ok(()),
        }
    }
}

/// Writes dimensions as the metadata does, with -1 for one that varies.
struct Dims<'a>(&'a [Option<usize>]);

impl fmt::Display for Dims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<_> = self.0.iter().map(|dim| dim.map_or("-1".into(), |dim| dim.to_string())).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

fn output<'a>(response: &'a InferResponse, name: &str) -> Result<&'a Tensor, String> {
    let found = response.outputs.iter().find(|(output, _)| output == name);
    found.map(|(_, tensor)| tensor).ok_or_else(|| format!("output '{name}' is missing"))
}

/// Describes the first element that differs by more than `tolerance` in two tensors of the same datatype and shape.
/// Elements that are not floats must be equal.
fn difference(first: &Tensor, tensor: &Tensor, tolerance: f64) -> Option<String> {
    let (Some(firsts), Some(values)) = (floats(first), floats(tensor)) else {
        return (first.data != tensor.data).then(|| "differs from the first answer".to_owned());
    };
    firsts.zip(values).enumerate().find_map(|(index, (was, is))| {
        ((was - is).abs() > tolerance * was.abs().max(1.0))
            .then(|| format!("is {is} at element {index}, {was} in the first answer"))
    })
}

/// The elements of a tensor of floats. `None` for other datatypes.
fn floats(tensor: &Tensor) -> Option<impl Iterator<Item = f64>> {
    let read: fn(&[u8]) -> f64 = match tensor.datatype {
        Datatype::Fp16 => |b| f16::from_le_bytes([b[0], b[1]]).to_f64(),
        Datatype::Bf16 => |b| bf16::from_le_bytes([b[0], b[1]]).to_f64(),
        Datatype::Fp32 => |b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Datatype::Fp64 => |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
        _ => return None,
    };
    let size = tensor.datatype.size().expect("floats have a size");
    Some(tensor.data.chunks_exact(size).map(read))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oip::{InferRequest, RequestedOutput};

    use super::*;

    type Name = compact_str::CompactString;

    fn checker(requested: &[&str]) -> Result<Checker> {
        let model = serde_json::from_str(
            r#"{"name": "sum", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
                 "outputs": [{"name": "sum", "datatype": "FP32", "shape": [-1, 2]},
                             {"name": "digit", "datatype": "INT64", "shape": [-1]}]}"#,
        )
        .unwrap();
        let outputs = requested
            .iter()
            .map(|&name| RequestedOutput { name: name.into(), parameters: oip::Parameters::default() })
            .collect();
        let request = InferRequest { outputs, ..InferRequest::default() };
        Checker::new(&model, &Payload { request, verbatim: None, rows: 1 }, 1e-4)
    }

    fn sum(values: &[f32]) -> (Name, Tensor) {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = [1, values.len()].as_slice().into();
        ("sum".into(), Tensor { datatype: Datatype::Fp32, shape, data: data.into() })
    }

    fn digit(value: i64) -> (Name, Tensor) {
        let data = Bytes::copy_from_slice(&value.to_le_bytes());
        ("digit".into(), Tensor { datatype: Datatype::Int64, shape: [1].as_slice().into(), data })
    }

    /// Checks an encoding of `response`. `nonce` makes its bytes unique, so that it is decoded.
    fn check(checker: &Checker, nonce: u8, outputs: Vec<(Name, Tensor)>) -> Result<(), String> {
        let response =
            InferResponse { model_name: "sum".into(), model_version: "1".into(), id: None, outputs };
        let answer = Answer { body: Bytes::copy_from_slice(&[nonce]), json_length: None };
        checker.check(answer, |_| Ok(response))
    }

    #[test]
    fn the_same_bytes_are_not_decoded_again() {
        let checker = checker(&[]).unwrap();
        check(&checker, 0, vec![sum(&[0.5, 0.5]), digit(3)]).unwrap();
        let answer = Answer { body: Bytes::from_static(&[0]), json_length: None };
        checker.check(answer, |_| Err("decoded".into())).unwrap();
    }

    #[test]
    fn an_answer_may_differ_by_rounding_only() {
        let checker = checker(&[]).unwrap();
        check(&checker, 0, vec![sum(&[0.5, 500.0]), digit(3)]).unwrap();
        check(&checker, 1, vec![sum(&[0.500_09, 500.04]), digit(3)]).unwrap();
        let error = check(&checker, 2, vec![sum(&[0.5, 500.2]), digit(3)]).unwrap_err();
        assert!(error.starts_with("output 'sum' is 500.2"), "{error}");
        let error = check(&checker, 3, vec![sum(&[0.5, 500.0]), digit(4)]).unwrap_err();
        assert_eq!(error, "output 'digit' differs from the first answer");
    }

    #[test]
    fn each_kind_of_wrong_answer_is_named() {
        let wrong = |outputs| check(&checker(&[]).unwrap(), 0, outputs).unwrap_err();
        assert_eq!(wrong(vec![digit(3)]), "output 'sum' is missing");
        assert_eq!(wrong(vec![sum(&[0.0; 3]), digit(3)]), "output 'sum' has the shape [1,3], expected [1,2]");
        assert_eq!(wrong(vec![sum(&[0.0, f32::NAN]), digit(3)]), "output 'sum' is not finite at element 1");
        let mut short = sum(&[0.0, 0.0]);
        short.1.data.truncate(4);
        assert_eq!(wrong(vec![short, digit(3)]), "output 'sum' has 4 bytes, expected 8");
        let integers = ("sum".into(), digit(3).1);
        assert_eq!(wrong(vec![integers, digit(3)]), "output 'sum' has datatype INT64, expected FP32");
        let extra = ("logits".into(), digit(3).1);
        assert_eq!(wrong(vec![sum(&[0.0, 0.0]), digit(3), extra]), "the answer has 3 outputs, expected 2");
    }

    #[test]
    fn another_models_answer_is_wrong() {
        let response = InferResponse {
            model_name: "mean".into(),
            model_version: "1".into(),
            id: None,
            outputs: vec![sum(&[0.0, 0.0]), digit(3)],
        };
        let answer = Answer { body: Bytes::new(), json_length: None };
        let error = checker(&[]).unwrap().check(answer, |_| Ok(response)).unwrap_err();
        assert_eq!(error, "the answer is of model 'mean', not 'sum'");
    }

    #[test]
    fn only_the_outputs_asked_for_are_expected() {
        let checker = checker(&["digit"]).unwrap();
        check(&checker, 0, vec![digit(3)]).unwrap();
        let error = super::tests::checker(&["logits"]).unwrap_err().to_string();
        assert!(error.contains("'logits', which model 'sum' does not have"), "{error}");
    }

    #[test]
    fn half_precision_is_compared_less_strictly() {
        let tensor = |value: f32| Tensor {
            datatype: Datatype::Bf16,
            shape: [1].as_slice().into(),
            data: Bytes::copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
        };
        assert_eq!(difference(&tensor(0.5), &tensor(0.504), HALF_TOLERANCE), None);
        assert!(difference(&tensor(0.5), &tensor(0.55), HALF_TOLERANCE).is_some());
    }
}
