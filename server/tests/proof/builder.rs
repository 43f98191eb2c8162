//! A random graph: nodes are added one by one, and kept where ONNX Runtime runs the graph with them.

use std::fmt;

use fastrand::Rng;
use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use ort::session::{Session, SessionInputValue};
use prost::Message;

use crate::{
    array::{Array, Elements},
    load, operators,
};

/// Rows that a graph is tried with as it grows: as many as some of its other sizes, so that what fits by chance is tried.
const ROWS: usize = 3;

/// Nodes of a graph, and how often another one is tried.
const NODES: usize = 7;
const ATTEMPTS: usize = 40;

/// Operator set of the graphs.
const OPSET: i64 = 17;

/// A value that nodes can read.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// With [`ROWS`] rows.
    pub(crate) array: Array,
}

impl Known {
    pub(crate) fn rank(&self) -> usize {
        self.array.shape.len()
    }

    pub(crate) fn is_float(&self) -> bool {
        matches!(self.array.elements, Elements::Floats(_))
    }

    pub(crate) fn is_bool(&self) -> bool {
        matches!(self.array.elements, Elements::Bools(_))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Builder {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// Names and shapes of the inputs; the first axis counts rows.
    inputs: Vec<(String, Vec<usize>)>,
    pub(crate) known: Vec<Known>,
    next: usize,
}

impl Builder {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut graph = Self::default();
        for index in 0..rng.usize(1..3) {
            let shapes: [&[usize]; 6] = [&[4], &[2, 6], &[3, 4], &[], &[6], &[3, 3, 2]];
            graph.inputs.push((format!("x{index}"), shapes[rng.usize(..shapes.len())].to_vec()));
        }
        let inputs = graph.inputs_of(ROWS, rng);
        for ((name, _), array) in graph.inputs.iter().zip(&inputs) {
            graph.known.push(Known { name: name.clone(), array: array.clone() });
        }
        let wanted = rng.usize(2..=NODES);
        for _ in 0..ATTEMPTS {
            if graph.nodes.len() >= wanted {
                break;
            }
            graph.grow(&inputs, rng);
        }
        if graph.nodes.is_empty() {
            let (input, output) = (graph.inputs[0].0.clone(), "same".to_owned());
            graph.nodes.push(NodeProto {
                input: vec![input],
                output: vec![output.clone()],
                op_type: "Identity".into(),
                ..NodeProto::default()
            });
            graph.known.push(Known { name: output, array: inputs[0].clone() });
        }
        graph
    }

    /// Adds an operator, if the graph runs with it.
    fn grow(&mut self, inputs: &[Array], rng: &mut Rng) {
        let (nodes, constants, known) = (self.nodes.len(), self.constants.len(), self.known.len());
        let Some(output) = operators::add(self, rng) else {
            self.nodes.truncate(nodes);
            self.constants.truncate(constants);
            return;
        };
        self.known.push(Known {
            name: output,
            array: Array { shape: Vec::new(), elements: Elements::Bools(Vec::new()) },
        });
        let ran = load(&self.model().encode_to_vec()).and_then(|mut session| run(&mut session, inputs));
        if let Some(array) = ran.and_then(|mut outputs| outputs.pop()) {
            self.known.last_mut().unwrap().array = array;
        } else {
            self.nodes.truncate(nodes);
            self.constants.truncate(constants);
            self.known.truncate(known);
        }
    }

    pub(crate) fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Random inputs with so many rows.
    pub(crate) fn inputs_of(&self, rows: usize, rng: &mut Rng) -> Vec<Array> {
        let input = |(_, row): &(String, Vec<usize>)| {
            let shape: Vec<usize> = std::iter::once(rows).chain(row.iter().copied()).collect();
            let count = shape.iter().product();
            let values = (0..count).map(|_| (rng.f32() - 0.4) * 4.0).collect();
            Array { shape, elements: Elements::Floats(values) }
        };
        self.inputs.iter().map(input).collect()
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}{}", self.next)
    }

    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        let name = self.fresh("i");
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into();
        self.constants.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: data_type::INT64,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    pub(crate) fn floats(&mut self, shape: &[usize], rng: &mut Rng) -> String {
        let name = self.fresh("w");
        let count: usize = shape.iter().product();
        let raw_data =
            (0..count).flat_map(|_| (rng.f32() * 2.0 - 1.0).to_le_bytes()).collect::<Vec<_>>().into();
        self.constants.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: data_type::FLOAT,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// Adds a node with one output that is read, and gives the output's name.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = self.fresh("v");
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: format!("{operator}_{output}"),
            op_type: operator.to_owned(),
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    /// The model whose output is the last value.
    pub(crate) fn model(&self) -> ModelProto {
        let last = self.known.last().unwrap();
        let input = |(name, row): &(String, Vec<usize>)| {
            let rows = Dimension { value: Some(DimensionValue::DimParam("N".into())) };
            let size = |&size: &usize| Dimension { value: Some(DimensionValue::DimValue(size as i64)) };
            let dim = std::iter::once(rows).chain(row.iter().map(size)).collect();
            let tensor = TensorType { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
            ValueInfoProto {
                name: name.clone(),
                r#type: Some(TypeProto { tensor_type: Some(tensor), ..TypeProto::default() }),
                ..ValueInfoProto::default()
            }
        };
        let graph = GraphProto {
            node: self.nodes.clone(),
            name: "random".into(),
            initializer: self.constants.clone(),
            input: self.inputs.iter().map(input).collect(),
            // ONNX Runtime finds out its type.
            output: vec![ValueInfoProto { name: last.name.clone(), ..ValueInfoProto::default() }],
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: 8,
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            ..ModelProto::default()
        }
    }
}

/// Runs a model; `None` where it fails.
pub(crate) fn run(session: &mut Session, inputs: &[Array]) -> Option<Vec<Array>> {
    let values: Vec<SessionInputValue<'_>> = inputs.iter().map(|input| input.to_value().into()).collect();
    let outputs = session.run(&values[..]).ok()?;
    outputs.values().map(|value| Array::of_value(&value)).collect()
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: attribute_type::INT, ..AttributeProto::default() }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        r#type: attribute_type::INTS,
        ..AttributeProto::default()
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, row) in &self.inputs {
            writeln!(f, "  {name}: [N, {row:?}]")?;
        }
        for constant in self.constants.iter().filter(|constant| constant.data_type == data_type::INT64) {
            let values: Vec<i64> = constant
                .raw_data
                .chunks(8)
                .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            writeln!(f, "  {} = {values:?}", constant.name)?;
        }
        for constant in self.constants.iter().filter(|constant| constant.data_type == data_type::FLOAT) {
            writeln!(f, "  {}: {:?}", constant.name, constant.dims)?;
        }
        for node in &self.nodes {
            let attributes: Vec<String> = node
                .attribute
                .iter()
                .map(|attribute| format!("{}={}{:?}", attribute.name, attribute.i, attribute.ints))
                .collect();
            writeln!(f, "  {:?} = {}{:?} {}", node.output, node.op_type, node.input, attributes.join(" "))?;
        }
        Ok(())
    }
}
