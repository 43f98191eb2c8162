//! Exports a folded network as an ONNX model.
//!
//! The input `image` is FP32 `[batch, 28, 28, 1]` of any brightness scale, the output `probabilities` FP32 `[batch,
//! 10]`. Each convolution is followed by its rectifier and then by its pooling: in this order, runtimes can fuse them.

use ndarray::ArrayView4;
use onnx_graph::proto::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use prost::Message;

use super::chain::{Chain, IR_VERSION, OPSET, int, ints, value};
use crate::nn::architecture::Block;
use crate::nn::folded::{DARKEST, Folded};

/// Name of the graph's input.
pub const INPUT: &str = "image";
/// Name of the graph's output.
pub const OUTPUT: &str = "probabilities";

/// Metadata in the model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Version of the trainer.
    pub trainer_version: String,
    /// SHA-256 of the training data set, in hexadecimal.
    pub dataset_sha256: String,
    /// Seed of the training.
    pub seed: u64,
    /// Accuracy on the test set, 0 to 1.
    pub test_accuracy: f64,
}

/// Encodes the model file. The same network and metadata give the same bytes.
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
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// The network's chain of nodes under construction.
struct Graph {
    chain: Chain,
}

impl Graph {
    fn new(folded: &Folded) -> Self {
        let mut graph = Self { chain: Chain::new(INPUT) };
        graph.scale(folded.architecture.side);
        for (index, block) in folded.architecture.blocks.iter().enumerate() {
            graph.block(index + 1, block, folded);
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
        self.chain.finish("digits", input, output)
    }

    /// Divides each picture by its largest pixel (or by [`DARKEST`], if that is larger) and moves the channel axis
    /// before the rows, as ONNX expects it.
    fn scale(&mut self, side: usize) {
        self.chain.floats("darkest", &[], &[DARKEST]);
        self.chain.node("ReduceMax", "largest", &[], vec![ints("axes", &[1, 2, 3]), int("keepdims", 1)]);
        self.chain.node("Max", "divisor", &["darkest"], vec![]);
        let divisor = self.chain.branch(INPUT);
        self.chain.node("Div", "scaled", &[&divisor], vec![]);
        self.chain.integers("picture_shape", &[0, 1, side as i64, side as i64]);
        self.chain.node("Reshape", "picture", &["picture_shape"], vec![]);
    }

    fn block(&mut self, number: usize, block: &Block, folded: &Folded) {
        let conv = block.conv;
        let (weights, bias) = (format!("conv{number}_weights"), format!("conv{number}_bias"));
        let dims = [conv.outputs as i64, conv.inputs as i64, 3, 3];
        self.chain.floats(&weights, &dims, &output_first(&folded.weights(block)));
        self.chain.floats(&bias, &dims[..1], &folded.bias(block).to_vec());
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
        self.chain.node("Conv", &format!("conv{number}"), &[&weights, &bias], attributes);
        self.chain.node("Relu", &format!("relu{number}"), &[], vec![]);
        if block.pool.is_some() {
            let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
            self.chain.node("MaxPool", &format!("pool{number}"), &[], attributes);
        }
    }

    fn head(&mut self, folded: &Folded) {
        let architecture = &folded.architecture;
        let dims = [architecture.head.inputs as i64, architecture.head.outputs as i64];
        self.chain.floats(
            "head_weights",
            &dims,
            &folded.head_weights().iter().copied().collect::<Vec<f32>>(),
        );
        self.chain.floats("head_bias", &dims[1..], &folded.head_bias().to_vec());
        self.chain.node("GlobalAveragePool", "mean", &[], vec![]);
        self.chain.node("Flatten", "features", &[], vec![int("axis", 1)]);
        self.chain.node("Gemm", "logits", &["head_weights", "head_bias"], vec![]);
        self.chain.node("Softmax", OUTPUT, &[], vec![int("axis", 1)]);
    }
}

/// Reorders a convolution's weights from `[kernel row, kernel column, input, output]` to ONNX's
/// `[output, input, kernel row, kernel column]`.
fn output_first(weights: &ArrayView4<'_, f32>) -> Vec<f32> {
    weights.view().permuted_axes([3, 2, 0, 1]).iter().copied().collect()
}
