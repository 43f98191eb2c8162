//! Decides whether the rows of different requests are joined into one batch, along which axes, and why.

use std::fmt;

use oip::Datatype;
use onnx_graph::{NotProven, RowAxes};

use super::Signature;

/// What an operator can do if the graph does not prove that rows are independent.
const WAY_OUT: &str = "set max_batch_size in config.toml if its rows are independent all the same";

/// Whether requests are joined into batches, and along which axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batching {
    /// The graph proves that rows are independent.
    Proven(RowAxes),
    /// The model's `max_batch_size` says that rows are independent.
    Asserted(RowAxes),
    /// Requests are not joined, for this reason.
    Off(String),
}

impl Batching {
    /// Decides by the model's `max_batch_size` and by the proof from its graph.
    ///
    /// # Errors
    /// `max_batch_size` asks for batches, but an input or output has a first axis of fixed size.
    pub fn decide(
        signature: &Signature,
        max_batch_size: Option<usize>,
        proof: Result<RowAxes, NotProven>,
    ) -> Result<Self, String> {
        let proof = proof.map_err(|reason| reason.to_string()).and_then(|axes| joinable(axes, signature));
        match (max_batch_size, proof) {
            (Some(0), _) => Ok(Self::Off("max_batch_size in config.toml is 0".into())),
            (_, Ok(axes)) => Ok(Self::Proven(axes)),
            (Some(_), Err(_)) if signature.could_batch() => Ok(Self::Asserted(first_axes(signature))),
            (Some(size), Err(reason)) => Err(format!(
                "max_batch_size is {size}, but the graph has an input or output whose first dimension is fixed ({reason})"
            )),
            (None, Err(reason)) if signature.could_batch() => Ok(Self::Off(format!("{reason}; {WAY_OUT}"))),
            (None, Err(reason)) => Ok(Self::Off(reason)),
        }
    }

    /// Returns the axes along which requests are joined; `None` if they are not joined.
    pub fn axes(&self) -> Option<&RowAxes> {
        match self {
            Self::Proven(axes) | Self::Asserted(axes) => Some(axes),
            Self::Off(_) => None,
        }
    }

    /// Returns whether requests are joined along the first axis of every input and output.
    pub fn is_along_first_axes(&self) -> bool {
        self.axes().is_some_and(|axes| axes.inputs.iter().chain(&axes.outputs).all(|&axis| axis == 0))
    }
}

/// Writes the decision for the log and the model's configuration.
impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven(_) if self.is_along_first_axes() => f.write_str("on: the graph keeps rows apart"),
            Self::Proven(axes) => {
                let list =
                    |axes: &[usize]| axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let (inputs, outputs) = (list(&axes.inputs), list(&axes.outputs));
                write!(
                    f,
                    "on: the graph keeps rows apart along axis {inputs} of the inputs and {outputs} of the outputs"
                )
            }
            Self::Asserted(_) => {
                f.write_str("on: max_batch_size in config.toml says that rows are independent")
            }
            Self::Off(reason) => write!(f, "off: {reason}"),
        }
    }
}

fn first_axes(signature: &Signature) -> RowAxes {
    RowAxes { inputs: vec![0; signature.required().len()], outputs: vec![0; signature.outputs.len()] }
}

/// Refuses axes along which strings cannot be joined. Strings have no fixed size, so that only the first axis works for
/// them.
fn joinable(axes: RowAxes, signature: &Signature) -> Result<RowAxes, String> {
    let specs =
        signature.required().iter().zip(&axes.inputs).chain(signature.outputs.iter().zip(&axes.outputs));
    match specs.into_iter().find(|(spec, axis)| spec.datatype == Datatype::Bytes && **axis != 0) {
        Some((spec, axis)) => Err(format!(
            "'{}' has its rows along axis {axis}, and strings are joined along the first",
            spec.name
        )),
        None => Ok(axes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimension, TensorSpec};

    fn signature(dims: &[Dimension]) -> Signature {
        let spec = |name: &str| TensorSpec::new(name, Datatype::Fp32, dims.to_vec());
        Signature { inputs: vec![spec("x")], outputs: vec![spec("y")] }
    }

    fn any() -> Dimension {
        Dimension::Dynamic("".into())
    }

    fn along(axis: usize) -> RowAxes {
        RowAxes { inputs: vec![axis], outputs: vec![axis] }
    }

    fn mixing() -> NotProven {
        NotProven { node: None, reason: "node 'sort' (TopK) sorts across the batch".into() }
    }

    #[test]
    fn requests_are_joined_where_that_is_proven_or_asserted() {
        let free = signature(&[any(), any()]);
        let decide = |configured, proof| Batching::decide(&free, configured, proof).unwrap();
        assert_eq!(decide(None, Ok(along(1))), Batching::Proven(along(1)));
        assert_eq!(decide(Some(8), Ok(along(1))), Batching::Proven(along(1)));
        assert_eq!(decide(Some(8), Err(mixing())), Batching::Asserted(along(0)));
        assert_eq!(decide(Some(0), Ok(along(0))).axes(), None);
        let off = decide(None, Err(mixing())).to_string();
        assert!(
            off.starts_with("off: node 'sort' (TopK) sorts across the batch; set max_batch_size"),
            "{off}"
        );
    }

    #[test]
    fn max_batch_size_is_not_suggested_where_it_cannot_help() {
        let fixed = signature(&[Dimension::Fixed(1), any()]);
        let off = Batching::decide(&fixed, None, Err(mixing())).unwrap().to_string();
        assert!(!off.contains("max_batch_size"), "{off}");
        let refused = Batching::decide(&fixed, Some(4), Err(mixing())).unwrap_err();
        assert!(refused.contains("max_batch_size is 4"), "{refused}");
    }

    #[test]
    fn strings_are_joined_along_the_first_axis_only() {
        let mut words = signature(&[any(), any()]);
        words.inputs[0].datatype = Datatype::Bytes;
        assert!(Batching::decide(&words, None, Ok(along(0))).unwrap().axes().is_some());
        assert!(Batching::decide(&words, None, Ok(along(1))).unwrap().axes().is_none());
    }
}
