//! Writes a folded network as an ONNX model.
//!
//! The graph takes pictures as clients have them, `image` FP32 `[batch, 28, 28, 1]` of any brightness scale,
//! and gives `probabilities` FP32 `[batch, 10]`. Every convolution is followed by its rectifier and then its
//! pool, the order in which runtimes fuse them.

use prost::Message;

use super::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, Dimension, DimensionValue, FLOAT, GraphProto, INT64,
    ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, ValueInfoProto,
};
use crate::nn::architecture::Block;
use crate::nn::folded::{DARKEST, Folded};

/// Name of the graph's input.
pub const INPUT: &str = "image";
/// Name of the graph's output.
pub const OUTPUT: &str = "probabilities";
/// Name of the batch axis, shared by input and output.
pub const BATCH_AXIS: &str = "batch";

/// The operator set of the nodes.
const OPSET: i64 = 17;
/// The file format version that goes with it.
const IR_VERSION: i64 = 8;

/// What is written into the file about the model's making.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Version of the trainer.
    pub trainer_version: String,
    /// SHA-256 of the dataset, in hexadecimal.
    pub dataset_sha256: String,
    /// Seed of the training.
    pub seed: u64,
    /// Share of the test pictures that are answered right.
    pub test_accuracy: f64,
}

/// The bytes of the model file; the same network and metadata give the same bytes.
pub fn encode(folded: &Folded, metadata: &Metadata) -> Vec<u8> {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "decima-trainer".to_owned(),
        producer_version: metadata.trainer_version.clone(),
        doc_string:
            "Recognises handwritten digits. Bright digit on dark ground; pixels may be 0 to 1, 0 to 255 \
                     or on any other scale, since each picture is divided by its own maximum."
                .to_owned(),
        graph: Some(Graph::new(folded).finish(folded)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            entry("trainer_version", metadata.trainer_version.clone()),
            entry("dataset_sha256", metadata.dataset_sha256.clone()),
            entry("seed", metadata.seed.to_string()),
            entry("test_accuracy", format!("{:.4}", metadata.test_accuracy)),
        ],
    }
    .encode_to_vec()
}

/// A chain of nodes under construction.
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Name of the last node's output.
    last: String,
}

impl Graph {
    fn new(folded: &Folded) -> Self {
        let mut graph = Self { nodes: Vec::new(), initializers: Vec::new(), last: INPUT.to_owned() };
        graph.scale(folded.architecture.side);
        for (index, block) in folded.architecture.blocks.iter().enumerate() {
            graph.block(index + 1, block, &folded.parameters);
        }
        graph.head(folded);
        graph
    }

    fn finish(self, folded: &Folded) -> GraphProto {
        let side = folded.architecture.side as i64;
        let doc = "Pictures, [batch, row, column, channel].";
        let input = value(INPUT, &[side, side, 1], doc);
        let doc = "Probability of each digit, [batch, digit].";
        let output = value(OUTPUT, &[folded.architecture.head.outputs as i64], doc);
        GraphProto {
            node: self.nodes,
            name: "digits".to_owned(),
            initializer: self.initializers,
            input: vec![input],
            output: vec![output],
        }
    }

    /// Divides every picture by its largest pixel (by a little where all are 0) and brings the channel forward.
    fn scale(&mut self, side: usize) {
        self.floats("darkest", &[], &[DARKEST]);
        self.node("ReduceMax", "largest", &[], vec![ints("axes", &[1, 2, 3]), int("keepdims", 1)]);
        self.node("Max", "divisor", &["darkest"], vec![]);
        let divisor = std::mem::replace(&mut self.last, INPUT.to_owned());
        self.node("Div", "scaled", &[&divisor], vec![]);
        let shape: Vec<u8> = [0, 1, side as i64, side as i64].iter().flat_map(|d| d.to_le_bytes()).collect();
        self.initializer("picture_shape", &[4], INT64, shape);
        self.node("Reshape", "picture", &["picture_shape"], vec![]);
    }

    fn block(&mut self, number: usize, block: &Block, parameters: &[f32]) {
        let conv = block.conv;
        let (weights, bias) = (format!("conv{number}_weights"), format!("conv{number}_bias"));
        let dims = [conv.outputs as i64, conv.inputs as i64, 3, 3];
        self.floats(&weights, &dims, &output_first(block, &parameters[block.weights.clone()]));
        self.floats(&bias, &dims[..1], &parameters[block.beta.clone()]);
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
        self.node("Conv", &format!("conv{number}"), &[&weights, &bias], attributes);
        self.node("Relu", &format!("relu{number}"), &[], vec![]);
        if block.pool.is_some() {
            let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
            self.node("MaxPool", &format!("pool{number}"), &[], attributes);
        }
    }

    fn head(&mut self, folded: &Folded) {
        let architecture = &folded.architecture;
        let dims = [architecture.head.inputs as i64, architecture.head.outputs as i64];
        self.floats("head_weights", &dims, &folded.parameters[architecture.head_weights.clone()]);
        self.floats("head_bias", &dims[1..], &folded.parameters[architecture.head_bias.clone()]);
        self.node("GlobalAveragePool", "mean", &[], vec![]);
        self.node("Flatten", "features", &[], vec![int("axis", 1)]);
        self.node("Gemm", "logits", &["head_weights", "head_bias"], vec![]);
        self.node("Softmax", OUTPUT, &[], vec![int("axis", 1)]);
    }

    /// Adds a node that reads the last output and `others`; its name is its output's.
    fn node(&mut self, op_type: &str, name: &str, others: &[&str], attribute: Vec<AttributeProto>) {
        let mut input = vec![std::mem::replace(&mut self.last, name.to_owned())];
        input.extend(others.iter().map(|&other| other.to_owned()));
        let (name, output) = (name.to_owned(), vec![name.to_owned()]);
        self.nodes.push(NodeProto { input, output, name, op_type: op_type.to_owned(), attribute });
    }

    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.initializer(name, dims, FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    fn initializer(&mut self, name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: dims.to_vec(),
            data_type,
            name: name.to_owned(),
            raw_data,
        });
    }
}

/// A convolution's weights as ONNX wants them: `[output, input, kernel row, kernel column]`.
fn output_first(block: &Block, weights: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (block.conv.inputs, block.conv.outputs);
    let taps = weights.len() / (inputs * outputs);
    let mut turned = Vec::with_capacity(weights.len());
    for output in 0..outputs {
        for input in 0..inputs {
            turned.extend((0..taps).map(|tap| weights[(tap * inputs + input) * outputs + output]));
        }
    }
    turned
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, r#type: ATTRIBUTE_INT, ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let (name, ints) = (name.to_owned(), ints.to_vec());
    AttributeProto { name, ints, r#type: ATTRIBUTE_INTS, ..AttributeProto::default() }
}

/// A tensor of floats with the batch axis before `dims`.
fn value(name: &str, dims: &[i64], doc_string: &str) -> ValueInfoProto {
    let batch = DimensionValue::DimParam(BATCH_AXIS.to_owned());
    let dims = dims.iter().map(|&dim| DimensionValue::DimValue(dim));
    let dim = std::iter::once(batch).chain(dims).map(|value| Dimension { value: Some(value) }).collect();
    let tensor_type = TensorType { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
        doc_string: doc_string.to_owned(),
    }
}
