//! The inputs and outputs of a model, as its ONNX file declares them.

use std::fmt;

use compact_str::CompactString;
use oip::Datatype;

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size. The name is the ONNX file's `dim_param`, which may be empty.
    Dynamic(CompactString),
}

/// A declared input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: CompactString,
    /// Its elements' datatype.
    pub datatype: Datatype,
    /// Its dimensions, including the one that counts rows. `None` if the file declares no shape; then any shape fits.
    pub dims: Option<Vec<Dimension>>,
    /// Whether requests may leave the input out, since the file has a default for it.
    pub optional: bool,
}

impl TensorSpec {
    /// Makes the description of a required tensor with this shape.
    pub fn new(name: impl Into<CompactString>, datatype: Datatype, dims: Vec<Dimension>) -> Self {
        Self { name: name.into(), datatype, dims: Some(dims), optional: false }
    }

    /// Returns the shape as the protocol writes it: -1 for a dynamic dimension, and `[-1]` if no shape is declared.
    pub fn shape(&self) -> Vec<i64> {
        let size = |dim: &Dimension| match dim {
            Dimension::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            Dimension::Dynamic(_) => -1,
        };
        self.dims.as_ref().map_or_else(|| vec![-1], |dims| dims.iter().map(size).collect())
    }

    /// Returns whether `shape` fits the declared shape.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        let Some(dims) = &self.dims else { return true };
        shape.len() == dims.len()
            && shape.iter().zip(dims).all(|(&size, dim)| match dim {
                Dimension::Fixed(expected) => size == *expected,
                Dimension::Dynamic(_) => true,
            })
    }

    /// Returns the name of the dimension along `axis`, if it is dynamic. The name may be empty.
    pub fn dynamic(&self, axis: usize) -> Option<&str> {
        match self.dims.as_ref()?.get(axis)? {
            Dimension::Dynamic(symbol) => Some(symbol),
            Dimension::Fixed(_) => None,
        }
    }
}

/// Writes the declared shape as `[-1,28,28,1]`.
impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dims.is_none() {
            return f.write_str("of any shape");
        }
        let dims: Vec<String> = self.shape().iter().map(ToString::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// Two axes of inputs that have the same name in the file. A request must give them the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSize {
    /// The name, such as `seq`.
    pub symbol: CompactString,
    /// Input and axis where the name occurs first.
    pub first: (usize, usize),
    /// Input and axis where it occurs again.
    pub other: (usize, usize),
}

/// The inputs and outputs of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Inputs in the graph's order, the optional ones last.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in the graph's order.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// Returns the inputs that every request must have.
    pub fn required(&self) -> &[TensorSpec] {
        let optional = self.inputs.iter().position(|spec| spec.optional);
        &self.inputs[..optional.unwrap_or(self.inputs.len())]
    }

    /// Returns whether the first dimension of every input and output has the same name, as exporters name the batch
    /// axis. This tells which axis counts rows, but not that rows are independent.
    pub fn names_rows(&self) -> bool {
        let mut symbols = self.required().iter().chain(&self.outputs).map(|spec| spec.dynamic(0));
        let Some(Some(first)) = symbols.next() else { return false };
        !self.required().is_empty() && !first.is_empty() && symbols.all(|symbol| symbol == Some(first))
    }

    /// Returns whether the first dimension of every input and output is dynamic, whatever its name. A configured
    /// `max_batch_size` requires this.
    pub fn could_batch(&self) -> bool {
        let mut tensors = self.required().iter().chain(&self.outputs);
        !self.required().is_empty() && tensors.all(|tensor| tensor.dynamic(0).is_some())
    }

    /// Returns the pairs of axes that must have the same size in each request.
    pub fn shared_sizes(&self) -> Vec<SharedSize> {
        let mut first: Vec<(&str, (usize, usize))> = Vec::new();
        let mut shared = Vec::new();
        for (input, spec) in self.inputs.iter().enumerate() {
            for axis in 0..spec.dims.as_ref().map_or(0, Vec::len) {
                let Some(symbol) = spec.dynamic(axis).filter(|symbol| !symbol.is_empty()) else { continue };
                match first.iter().find(|(known, _)| *known == symbol) {
                    Some(&(_, first)) => {
                        shared.push(SharedSize { symbol: symbol.into(), first, other: (input, axis) });
                    }
                    None => first.push((symbol, (input, axis))),
                }
            }
        }
        shared
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
        TensorSpec::new("x", Datatype::Fp32, dims)
    }

    fn signature(inputs: &[&[&str]], outputs: &[&[&str]]) -> Signature {
        let side = |tensors: &[&[&str]]| tensors.iter().map(|dims| spec(dims)).collect();
        Signature { inputs: side(inputs), outputs: side(outputs) }
    }

    #[test]
    fn rows_are_named_by_one_symbol_that_every_tensor_shares() {
        let names = |inputs, outputs| signature(inputs, outputs).names_rows();
        assert!(names(&[&["N", "28"]], &[&["N", "10"]]));
        assert!(names(&[&["N", "28"], &["N"]], &[&["N", "10"], &["N", "seq"]]));
        assert!(!names(&[&["N", "28"]], &[&["10"]]), "an output without the axis");
        assert!(!names(&[&["N", "28"]], &[&["M", "10"]]), "another symbol");
        assert!(!names(&[&["1", "28"]], &[&["1", "10"]]), "a fixed first dimension");
        assert!(!names(&[&["", "28"]], &[&["", "10"]]), "dimensions without a name");
        assert!(!names(&[&[]], &[&[]]), "scalars");
        assert!(!names(&[], &[&["N"]]), "no input");
    }

    #[test]
    fn inputs_with_a_default_come_last_and_are_not_required() {
        let mut signature = signature(&[&["N", "2"], &["1"]], &[&["N", "2"]]);
        assert_eq!(signature.required().len(), 2);
        signature.inputs[1].optional = true;
        assert_eq!(signature.required().len(), 1);
        assert!(signature.names_rows() && signature.could_batch());
    }

    #[test]
    fn axes_of_one_name_share_their_size() {
        let shared = signature(&[&["N", "seq"], &["N", "seq", "4"], &["", ""]], &[&["N"]]).shared_sizes();
        let expected = [("N", (0, 0), (1, 0)), ("seq", (0, 1), (1, 1))]
            .map(|(symbol, first, other)| SharedSize { symbol: symbol.into(), first, other });
        assert_eq!(shared, expected);
        assert_eq!(signature(&[&["nodes", "nodes"]], &[]).shared_sizes()[0].other, (0, 1));
    }

    #[test]
    fn a_shape_fits_when_rank_and_fixed_dimensions_agree() {
        let image = spec(&["N", "28", "28", "1"]);
        assert!(image.accepts(&[7, 28, 28, 1]));
        assert!(image.accepts(&[0, 28, 28, 1]));
        assert!(!image.accepts(&[7, 28, 28]));
        assert!(!image.accepts(&[7, 28, 27, 1]));
        assert_eq!(image.to_string(), "[-1,28,28,1]");
        let any = TensorSpec { dims: None, ..image };
        assert!(any.accepts(&[]) && any.accepts(&[3, 1]));
        assert_eq!(any.shape(), [-1]);
    }
}
