//! Graphs from text, one statement a line:
//!
//! ```text
//! x: float[N,2,4]            an input that a request gives
//! w = float[4,4]             a weight
//! s = ints(0,-1,8)           a constant with these elements; int(3) is a scalar, floats(1,2) is of floating point
//! y = Softmax(x) axis=1      a node; several outputs are named before '=', and _ is an input left out
//! -> y                       the outputs
//! ```

use bytes::Bytes;
use onnx_graph::{
    Analysis, analyse,
    proto::{
        AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto, data_type,
    },
};

fn type_of(name: &str) -> i32 {
    match name {
        "float" => data_type::FLOAT,
        "half" => data_type::FLOAT16,
        "int64" => data_type::INT64,
        "int32" => data_type::INT32,
        "uint8" => data_type::UINT8,
        "bool" => data_type::BOOL,
        "string" => data_type::STRING,
        other => panic!("no type {other}"),
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Splits off a name and the text in the brackets after it.
fn bracketed(text: &str, open: char) -> (&str, &str) {
    let (name, rest) = text.split_once(open).unwrap_or_else(|| panic!("no {open} in {text}"));
    (name.trim(), &rest[..rest.len() - 1])
}

fn value_info(name: &str, text: &str) -> ValueInfoProto {
    let (kind, dims) = bracketed(text, '[');
    let dim = |dim: &str| Dimension {
        value: match dim.parse() {
            Ok(size) => Some(DimensionValue::DimValue(size)),
            Err(_) if dim == "?" => None,
            Err(_) => Some(DimensionValue::DimParam(dim.to_owned())),
        },
    };
    let shape = TensorShapeProto { dim: list(dims).map(dim).collect() };
    let tensor = TensorType { elem_type: type_of(kind), shape: Some(shape) };
    let kind = TypeProto { tensor_type: Some(tensor), sequence_type: None };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), doc_string: String::new() }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    list(text).map(|item| item.parse().unwrap_or_else(|_| panic!("no number: {item}"))).collect()
}

fn constant(name: &str, text: &str) -> Option<TensorProto> {
    let mut tensor = TensorProto { name: name.to_owned(), ..TensorProto::default() };
    if text.starts_with("ints(") || text.starts_with("int(") {
        tensor.data_type = data_type::INT64;
        tensor.int64_data = numbers(bracketed(text, '(').1);
    } else if text.starts_with("floats(") {
        tensor.data_type = data_type::FLOAT;
        tensor.float_data = numbers(bracketed(text, '(').1);
    } else if text.contains('[') && !text.contains('(') {
        let (kind, dims) = bracketed(text, '[');
        tensor.data_type = type_of(kind);
        tensor.dims = numbers(dims);
        return Some(tensor);
    } else {
        return None;
    }
    if !text.starts_with("int(") {
        tensor.dims = vec![i64::try_from(tensor.int64_data.len() + tensor.float_data.len()).unwrap()];
    }
    Some(tensor)
}

/// Parses an attribute from `name=value`.
pub(crate) fn attribute(text: &str) -> AttributeProto {
    let (name, value) = text.split_once('=').unwrap();
    let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    if let Some(values) = value.strip_prefix('[') {
        let values = values.trim_end_matches(']');
        if values.contains('.') {
            attribute.floats = numbers(values);
        } else if list(values).all(|item| item.parse::<i64>().is_ok()) {
            attribute.ints = numbers(values);
        } else {
            attribute.strings = list(values).map(|item| Bytes::from(item.to_owned())).collect();
        }
    } else if let Ok(value) = value.parse::<i64>() {
        attribute.i = value;
    } else if let Ok(value) = value.parse::<f32>() {
        attribute.f = value;
    } else {
        attribute.s = Bytes::from(value.to_owned());
    }
    attribute
}

fn node(outputs: &str, text: &str) -> NodeProto {
    let (operator, rest) = text.split_once('(').unwrap_or_else(|| panic!("no node: {text}"));
    let (inputs, attributes) = rest.split_once(')').unwrap();
    let (domain, operator) = operator.rsplit_once('.').unwrap_or(("", operator));
    let name = |name: &str| if name == "_" { String::new() } else { name.to_owned() };
    NodeProto {
        input: list(inputs).map(name).collect(),
        output: list(outputs).map(name).collect(),
        op_type: operator.to_owned(),
        domain: domain.to_owned(),
        attribute: attributes.split_whitespace().map(attribute).collect(),
        ..NodeProto::default()
    }
}

pub(crate) fn graph(text: &str) -> GraphProto {
    let mut graph = GraphProto::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(outputs) = line.strip_prefix("->") {
            graph.output = list(outputs)
                .map(|name| ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() })
                .collect();
        } else if let Some((name, kind)) = line.split_once(": ") {
            graph.input.push(value_info(name.trim(), kind.trim()));
        } else {
            let (outputs, text) = line.split_once('=').unwrap_or_else(|| panic!("no statement: {line}"));
            let (outputs, text) = (outputs.trim(), text.trim());
            match constant(outputs, text) {
                Some(tensor) => graph.initializer.push(tensor),
                None => graph.node.push(node(outputs, text)),
            }
        }
    }
    graph
}

pub(crate) fn model_of(graph: GraphProto, version: i64) -> ModelProto {
    let import = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![import("", version), import("ai.onnx.ml", 3), import("com.microsoft", 1)],
        ..ModelProto::default()
    }
}

pub(crate) fn analysis(text: &str) -> Analysis {
    analyse(&model_of(graph(text), 17))
}

/// The result of the analysis: `[0] -> [0, 1]` if the rows are proven independent, else the reason.
pub(crate) fn said(analysis: &Analysis) -> String {
    match &analysis.rows {
        Ok(axes) => format!("{:?} -> {:?}", axes.inputs, axes.outputs),
        Err(reason) => reason.to_string(),
    }
}

/// Analyses the graph in `text`. `expected` is the result, or a part of the reason.
#[track_caller]
pub(crate) fn check(version: i64, text: &str, expected: &str) {
    let said = said(&analyse(&model_of(graph(text), version)));
    if expected.starts_with('[') {
        assert_eq!(said, expected, "{text}");
    } else {
        assert!(said.contains(expected), "said: {said}\nexpected: {expected}\n{text}");
    }
}
