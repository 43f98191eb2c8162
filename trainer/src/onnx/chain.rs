//! Builds an ONNX graph that is a chain: each node reads the output of the one before it.

use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, ValueInfoProto, attribute_type, data_type,
};

/// Name of the batch axis, shared by input and output.
pub const BATCH_AXIS: &str = "batch";
/// Version of the ONNX operator set.
pub const OPSET: i64 = 17;
/// Version of the ONNX file format that belongs to this operator set.
pub const IR_VERSION: i64 = 8;

/// A chain of nodes under construction.
#[derive(Debug)]
pub struct Chain {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Name of the last node's output.
    last: String,
}

impl Chain {
    /// A chain whose first node will read `input`.
    pub fn new(input: &str) -> Self {
        Self { nodes: Vec::new(), initializers: Vec::new(), last: input.to_owned() }
    }

    /// The finished graph with its input and output.
    pub fn finish(self, name: &str, input: ValueInfoProto, output: ValueInfoProto) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.initializers,
            input: vec![input],
            output: vec![output],
            ..GraphProto::default()
        }
    }

    /// Lets the next node read `output` instead of the last node's output. Returns the name of the latter.
    pub fn branch(&mut self, output: &str) -> String {
        std::mem::replace(&mut self.last, output.to_owned())
    }

    /// Adds a node that reads the last output and `others`. `name` is the name of the node and of its output.
    pub fn node(&mut self, op_type: &str, name: &str, others: &[&str], attribute: Vec<AttributeProto>) {
        let mut input = vec![self.branch(name)];
        input.extend(others.iter().map(|&other| other.to_owned()));
        let (name, output) = (name.to_owned(), vec![name.to_owned()]);
        self.nodes.push(NodeProto {
            input,
            output,
            name,
            op_type: op_type.to_owned(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// Adds a constant of floats with shape `dims`.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.initializer(
            name,
            dims,
            data_type::FLOAT,
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        );
    }

    /// Adds a constant vector of integers.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, &[values.len() as i64], data_type::INT64, data);
    }

    fn initializer(&mut self, name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: dims.to_vec(),
            data_type,
            name: name.to_owned(),
            raw_data: raw_data.into(),
            ..TensorProto::default()
        });
    }
}

/// An integer attribute.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, r#type: attribute_type::INT, ..AttributeProto::default() }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let (name, ints) = (name.to_owned(), ints.to_vec());
    AttributeProto { name, ints, r#type: attribute_type::INTS, ..AttributeProto::default() }
}

/// Describes an input or output: a tensor of floats with the batch axis, followed by `dims`.
pub fn value(name: &str, dims: &[i64], doc_string: &str) -> ValueInfoProto {
    let batch = DimensionValue::DimParam(BATCH_AXIS.to_owned());
    let dims = dims.iter().map(|&dim| DimensionValue::DimValue(dim));
    let dim = std::iter::once(batch).chain(dims).map(|value| Dimension { value: Some(value) }).collect();
    let tensor_type = TensorType { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() }),
        doc_string: doc_string.to_owned(),
    }
}
