//! Builds the models under test. Their weights are random, because the time of a run does not depend on them.

use decima_trainer::onnx::{
    chain::{Chain, IR_VERSION, OPSET, ints, value},
    export::OUTPUT,
};
use fastrand::Rng;
use onnx_graph::proto::{ModelProto, OperatorSetIdProto};
use prost::Message as _;

use crate::cases::Model;

/// Name of the input, which furnace-server requires.
pub(crate) const INPUT: &str = "input";

const SIDE: i64 = 28;
const DIGITS: i64 = 10;

/// The ONNX file of a model. Its input is FP32 `[batch, 28, 28, 1]` and its output `probabilities` FP32 `[batch, 10]`.
pub(crate) fn encode(model: Model) -> Vec<u8> {
    let layers = Layers { chain: Chain::new(INPUT), random: Rng::with_seed(1) };
    let chain = match model {
        Model::Small => small(layers),
        Model::Mlp => mlp(layers),
    };
    let input = value(INPUT, &[SIDE, SIDE, 1], "");
    let graph = chain.finish(model.name(), input, value(OUTPUT, &[DIGITS], ""));
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "bench-serve".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// Two blocks of two convolutions and a pooling layer, then two dense layers.
fn small(mut layers: Layers) -> Chain {
    layers.reshape("picture", &[0, 1, SIDE, SIDE]);
    layers.convolution("conv1", 1, 16);
    layers.convolution("conv2", 16, 16);
    layers.pool("pool1");
    layers.convolution("conv3", 16, 32);
    layers.convolution("conv4", 32, 32);
    layers.pool("pool2");
    let features = 32 * (SIDE / 4) * (SIDE / 4);
    layers.reshape("features", &[0, features]);
    layers.dense("hidden", features, 128);
    layers.chain.node("Relu", "hidden_relu", &[], vec![]);
    layers.dense("logits", 128, DIGITS);
    layers.chain.node("Softmax", OUTPUT, &[], vec![]);
    layers.chain
}

/// One dense layer.
fn mlp(mut layers: Layers) -> Chain {
    layers.reshape("features", &[0, SIDE * SIDE]);
    layers.dense(OUTPUT, SIDE * SIDE, DIGITS);
    layers.chain
}

struct Layers {
    chain: Chain,
    random: Rng,
}

impl Layers {
    fn reshape(&mut self, name: &str, dims: &[i64]) {
        let shape = format!("{name}_shape");
        self.chain.integers(&shape, dims);
        self.chain.node("Reshape", name, &[&shape], vec![]);
    }

    fn weights(&mut self, name: &str, dims: &[i64]) {
        let count = dims.iter().product::<i64>();
        let values: Vec<f32> = (0..count).map(|_| (self.random.f32() - 0.5) / 8.0).collect();
        self.chain.floats(name, dims, &values);
    }

    /// A 3x3 convolution that keeps the size, followed by a `ReLU`.
    fn convolution(&mut self, name: &str, inputs: i64, outputs: i64) {
        let (weights, bias) = (format!("{name}_weights"), format!("{name}_bias"));
        self.weights(&weights, &[outputs, inputs, 3, 3]);
        self.weights(&bias, &[outputs]);
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
        self.chain.node("Conv", name, &[&weights, &bias], attributes);
        self.chain.node("Relu", &format!("{name}_relu"), &[], vec![]);
    }

    fn pool(&mut self, name: &str) {
        let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        self.chain.node("MaxPool", name, &[], attributes);
    }

    fn dense(&mut self, name: &str, inputs: i64, outputs: i64) {
        let (weights, bias) = (format!("{name}_weights"), format!("{name}_bias"));
        self.weights(&weights, &[inputs, outputs]);
        self.weights(&bias, &[outputs]);
        self.chain.node("Gemm", name, &[&weights, &bias], vec![]);
    }
}
