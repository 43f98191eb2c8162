//! The inputs and outputs that a model's file declares: their shapes, and which inputs have a default.

use std::collections::HashSet;

use crate::proto::{DimensionValue, GraphProto, ModelProto, TypeProto, ValueInfoProto};

/// From this IR version on, an initializer with the name of an input is the default of that input. In older files,
/// every initializer had to be listed among the inputs but was a constant.
pub(crate) const IR_VERSION_OF_DEFAULTS: i64 = 4;

/// The inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Inputs in the file's order, including those with a default.
    pub inputs: Vec<Declared>,
    /// Outputs in the file's order.
    pub outputs: Vec<Declared>,
}

/// A declared input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Its dimensions. `None` if the file does not declare a shape, so that the tensor may have any number of
    /// dimensions, or if it is not a tensor.
    pub shape: Option<Vec<Dim>>,
    /// Whether a request may omit it because the file has a default for it.
    pub has_default: bool,
}

/// The type of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tensor with elements of this type, one of [`data_type`](crate::proto::data_type).
    Tensor(i32),
    /// A sequence of elements of any type.
    Sequence,
    /// A map, an optional, a sparse tensor, or a type that the file does not give.
    Other,
}

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Any size. All dimensions with this name have the same size.
    Symbol(String),
    /// Any size.
    Unknown,
}

impl Interface {
    /// The input of this name.
    pub fn input(&self, name: &str) -> Option<&Declared> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// The output of this name.
    pub fn output(&self, name: &str) -> Option<&Declared> {
        self.outputs.iter().find(|output| output.name == name)
    }
}

/// Reads what the file declares. Inputs that are constants, according to the file's IR version, are left out.
pub fn interface(model: &ModelProto) -> Interface {
    let Some(graph) = &model.graph else { return Interface::default() };
    let initialized = initialized(graph);
    let has_defaults = model.ir_version >= IR_VERSION_OF_DEFAULTS;
    let input = |info: &ValueInfoProto| {
        let is_initialized = initialized.contains(info.name.as_str());
        (has_defaults || !is_initialized).then(|| declared(info, is_initialized))
    };
    Interface {
        inputs: graph.input.iter().filter_map(input).collect(),
        outputs: graph.output.iter().map(|info| declared(info, false)).collect(),
    }
}

fn initialized(graph: &GraphProto) -> HashSet<&str> {
    let dense = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    dense.chain(sparse.map(|values| values.name.as_str())).collect()
}

fn declared(info: &ValueInfoProto, has_default: bool) -> Declared {
    let (kind, shape) = info.r#type.as_ref().map_or((Kind::Other, None), kind_and_shape);
    Declared { name: info.name.clone(), kind, shape, has_default }
}

fn kind_and_shape(of: &TypeProto) -> (Kind, Option<Vec<Dim>>) {
    if let Some(tensor) = &of.tensor_type {
        let dims = tensor.shape.as_ref().map(|shape| {
            let dim = |dim: &crate::proto::Dimension| match &dim.value {
                Some(DimensionValue::DimValue(size)) => {
                    usize::try_from(*size).map_or(Dim::Unknown, Dim::Fixed)
                }
                Some(DimensionValue::DimParam(name)) if !name.is_empty() => Dim::Symbol(name.clone()),
                Some(DimensionValue::DimParam(_)) | None => Dim::Unknown,
            };
            shape.dim.iter().map(dim).collect()
        });
        return (Kind::Tensor(tensor.elem_type), dims);
    }
    (if of.sequence_type.is_some() { Kind::Sequence } else { Kind::Other }, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        Dimension, SequenceType, SparseTensorProto, TensorProto, TensorShapeProto, TensorType, data_type,
    };

    fn info(name: &str, shape: Option<Vec<Option<DimensionValue>>>) -> ValueInfoProto {
        let dims = |dims: Vec<_>| TensorShapeProto {
            dim: dims.into_iter().map(|value| Dimension { value }).collect(),
        };
        let tensor_type = TensorType { elem_type: data_type::FLOAT, shape: shape.map(dims) };
        let r#type = Some(TypeProto { tensor_type: Some(tensor_type), sequence_type: None });
        ValueInfoProto { name: name.into(), r#type, doc_string: String::new() }
    }

    fn tensor(name: &str) -> TensorProto {
        TensorProto { name: name.into(), ..TensorProto::default() }
    }

    fn model(ir_version: i64) -> ModelProto {
        let sparse = SparseTensorProto { values: Some(tensor("sparse")), dims: Vec::new() };
        let graph = GraphProto {
            input: vec![info("x", None), info("threshold", Some(vec![])), info("sparse", Some(vec![]))],
            output: vec![info("y", None)],
            initializer: vec![tensor("weight"), tensor("threshold")],
            sparse_initializer: vec![sparse],
            ..GraphProto::default()
        };
        ModelProto { ir_version, graph: Some(graph), ..ModelProto::default() }
    }

    #[test]
    fn an_initializer_of_an_inputs_name_is_its_default_or_in_old_files_a_constant() {
        let names = |ir_version| -> Vec<(String, bool)> {
            let inputs = interface(&model(ir_version)).inputs;
            inputs.into_iter().map(|input| (input.name, input.has_default)).collect()
        };
        assert_eq!(names(8), [("x".into(), false), ("threshold".into(), true), ("sparse".into(), true)]);
        assert_eq!(names(3), [("x".into(), false)]);
    }

    #[test]
    fn no_shape_is_not_the_shape_of_a_scalar_and_every_dimension_is_what_the_file_says() {
        let dims = vec![
            Some(DimensionValue::DimValue(3)),
            Some(DimensionValue::DimValue(-1)),
            Some(DimensionValue::DimParam("N".into())),
            Some(DimensionValue::DimParam(String::new())),
            None,
        ];
        let read = |shape| declared(&info("x", shape), false).shape;
        assert_eq!(read(None), None);
        assert_eq!(read(Some(vec![])), Some(vec![]));
        let expected = [Dim::Fixed(3), Dim::Unknown, Dim::Symbol("N".into()), Dim::Unknown, Dim::Unknown];
        assert_eq!(read(Some(dims)), Some(expected.to_vec()));
    }

    #[test]
    fn what_is_no_tensor_is_called_what_it_is() {
        let sequence =
            TypeProto { tensor_type: None, sequence_type: Some(Box::new(SequenceType { elem_type: None })) };
        assert_eq!(kind_and_shape(&sequence), (Kind::Sequence, None));
        let other = TypeProto { tensor_type: None, sequence_type: None };
        assert_eq!(kind_and_shape(&other), (Kind::Other, None));
        assert_eq!(interface(&ModelProto::default()), Interface::default());
    }
}
