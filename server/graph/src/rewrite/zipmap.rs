//! Removes `ZipMap`, which scikit-learn's exporters put after a classifier by default. It turns the tensor of
//! probabilities into a sequence of maps, one map (class to probability) per row. The inference protocols have no such
//! type.

use super::edit::Changes;
use crate::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, NodeProto, TensorShapeProto, TensorType,
    TypeProto, ValueInfoProto, data_type,
};

/// An output that is a tensor of probabilities now, with the classes of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probabilities {
    /// Name of the output, which stays the same.
    pub output: String,
    /// Names of the classes, in the order of the columns.
    pub classes: Vec<String>,
}

/// Records that each `ZipMap` whose output is an output of the model passes its input through instead.
pub(super) fn unzip(graph: &GraphProto, changes: &mut Changes) -> Vec<Probabilities> {
    let mut unzipped = Vec::new();
    for node in graph.node.iter().filter(|node| is_zip_map(node)) {
        let ([input], [output]) = (&node.input[..], &node.output[..]) else { continue };
        let Some(position) = graph.output.iter().position(|declared| declared.name == *output) else {
            continue;
        };
        // Other nodes that use the maps could not use the tensor.
        if graph.node.iter().any(|other| super::takes(other, output)) {
            continue;
        }
        let classes = classes(node);
        let declared = ValueInfoProto {
            name: output.clone(),
            r#type: Some(matrix(rows_of(graph, input, position), classes.len())),
            doc_string: graph.output[position].doc_string.clone(),
        };
        changes.declare_output(position, declared);
        changes.replace(node, vec![identity(node)]);
        unzipped.push(Probabilities { output: output.clone(), classes });
    }
    unzipped
}

pub(super) fn is_zip_map(node: &NodeProto) -> bool {
    node.op_type == "ZipMap" && node.domain == "ai.onnx.ml"
}

fn identity(node: &NodeProto) -> NodeProto {
    NodeProto { op_type: "Identity".into(), domain: String::new(), attribute: Vec::new(), ..node.clone() }
}

/// The class labels as text. The node has either numbers or strings.
fn classes(node: &NodeProto) -> Vec<String> {
    let attribute = |name: &str| node.attribute.iter().find(move |attribute| attribute.name == name);
    let numbers = attribute("classlabels_int64s").map(|attribute: &AttributeProto| &attribute.ints[..]);
    let texts = attribute("classlabels_strings").map(|attribute| &attribute.strings[..]);
    match (numbers, texts) {
        (Some(numbers), _) if !numbers.is_empty() => numbers.iter().map(ToString::to_string).collect(),
        (_, Some(texts)) => texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        _ => Vec::new(),
    }
}

/// The dimension that the file declares for the rows: of the probabilities, else of another output, else of the first
/// input.
fn rows_of(graph: &GraphProto, probabilities: &str, position: usize) -> Option<DimensionValue> {
    let itself = graph.value_info.iter().filter(|info| info.name == probabilities);
    let others =
        graph.output.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, info)| info);
    let rows = |info: &ValueInfoProto| {
        let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
        Some(shape.dim.first()?.value.clone())
    };
    itself.chain(others).chain(&graph.input).find_map(rows).flatten()
}

fn matrix(rows: Option<DimensionValue>, columns: usize) -> TypeProto {
    let columns = (columns > 0).then_some(DimensionValue::DimValue(columns as i64));
    let dim = [rows, columns].map(|value| Dimension { value }).to_vec();
    let tensor_type = TensorType { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
    TypeProto { tensor_type: Some(tensor_type), sequence_type: None }
}
