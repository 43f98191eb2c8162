//! The inputs and outputs of a model, as its ONNX file declares them.

use std::fmt;

use compact_str::CompactString;
use oip::Datatype;

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size; the name is the ONNX file's `dim_param`, empty where it has none.
    Dynamic(CompactString),
}

/// A declared input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: CompactString,
    /// Its elements' datatype.
    pub datatype: Datatype,
    /// Its dimensions, the batch axis included.
    pub dims: Vec<Dimension>,
}

impl TensorSpec {
    /// The shape as the protocol writes it: -1 for a dynamic dimension.
    pub fn shape(&self) -> Vec<i64> {
        self.dims
            .iter()
            .map(|dim| match dim {
                Dimension::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
                Dimension::Dynamic(_) => -1,
            })
            .collect()
    }

    /// Whether `shape` fits the declared one.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        shape.len() == self.dims.len()
            && shape.iter().zip(&self.dims).all(|(&size, dim)| match dim {
                Dimension::Fixed(expected) => size == *expected,
                Dimension::Dynamic(_) => true,
            })
    }

    fn batch_symbol(&self) -> Option<&str> {
        match self.dims.first() {
            Some(Dimension::Dynamic(symbol)) => Some(symbol),
            Some(Dimension::Fixed(_)) | None => None,
        }
    }
}

/// Writes the declared shape as `[-1,28,28,1]`.
impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.shape().iter().map(ToString::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// Everything that a model takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Inputs in the graph's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in the graph's order.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// Whether the graph says itself that rows may be joined: the first dimension of every input and
    /// every output is the same named symbol.
    pub fn has_batch_axis(&self) -> bool {
        let mut symbols = self.inputs.iter().chain(&self.outputs).map(TensorSpec::batch_symbol);
        let Some(Some(first)) = symbols.next() else { return false };
        !self.inputs.is_empty() && !first.is_empty() && symbols.all(|symbol| symbol == Some(first))
    }

    /// Whether every first dimension is dynamic, whatever its name: what a configured `max_batch_size` needs.
    pub fn could_batch(&self) -> bool {
        let mut tensors = self.inputs.iter().chain(&self.outputs);
        !self.inputs.is_empty() && tensors.all(|tensor| tensor.batch_symbol().is_some())
    }

    /// Whether inputs may differ in more than their rows, so that not every two requests can be joined.
    pub fn has_dynamic_rows(&self) -> bool {
        self.inputs
            .iter()
            .any(|input| input.dims.iter().skip(1).any(|dim| matches!(dim, Dimension::Dynamic(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dims: &[&str]) -> TensorSpec {
        let dims = dims
            .iter()
            .map(|dim| dim.parse().map_or_else(|_| Dimension::Dynamic((*dim).into()), Dimension::Fixed))
            .collect();
        TensorSpec { name: "x".into(), datatype: Datatype::Fp32, dims }
    }

    fn batches(inputs: &[&[&str]], outputs: &[&[&str]]) -> bool {
        let side = |tensors: &[&[&str]]| tensors.iter().map(|dims| spec(dims)).collect();
        Signature { inputs: side(inputs), outputs: side(outputs) }.has_batch_axis()
    }

    #[test]
    fn the_batch_axis_is_one_named_symbol_that_every_tensor_shares() {
        assert!(batches(&[&["N", "28"]], &[&["N", "10"]]));
        assert!(batches(&[&["N", "28"], &["N"]], &[&["N", "10"], &["N", "seq"]]));
        assert!(!batches(&[&["N", "28"]], &[&["10"]]), "an output without the axis");
        assert!(!batches(&[&["N", "28"]], &[&["M", "10"]]), "another symbol");
        assert!(!batches(&[&["1", "28"]], &[&["1", "10"]]), "a fixed first dimension");
        assert!(!batches(&[&["", "28"]], &[&["", "10"]]), "dimensions without a name");
        assert!(!batches(&[&[]], &[&[]]), "scalars");
        assert!(!batches(&[], &[&["N"]]), "no input");
    }

    #[test]
    fn a_shape_fits_when_rank_and_fixed_dimensions_agree() {
        let image = spec(&["N", "28", "28", "1"]);
        assert!(image.accepts(&[7, 28, 28, 1]));
        assert!(image.accepts(&[0, 28, 28, 1]));
        assert!(!image.accepts(&[7, 28, 28]));
        assert!(!image.accepts(&[7, 28, 27, 1]));
        assert_eq!(image.to_string(), "[-1,28,28,1]");
    }
}
