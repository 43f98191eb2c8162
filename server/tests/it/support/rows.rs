//! ONNX models whose rows depend on each other, though every first axis is called `N`, and models whose rows do not,
//! though no name says so.

use oip::Datatype;
use onnx_graph::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::{
    graphs::int,
    long::integers,
    models::{constant, model, node, tensor},
};

fn with(attribute: AttributeProto, node: NodeProto) -> NodeProto {
    NodeProto { attribute: vec![attribute], ..node }
}

/// A graph from FP32 `x` to FP32 `y` with these shapes.
fn from_x_to_y(x: &[&str], y: &[&str], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Vec<u8> {
    model(GraphProto {
        node: nodes,
        initializer: constants,
        input: vec![tensor("x", Datatype::Fp32, x)],
        output: vec![tensor("y", Datatype::Fp32, y)],
        ..GraphProto::default()
    })
}

/// A softmax over the first axis of `[N, 3]`.
pub(crate) fn softmax_over_rows() -> Vec<u8> {
    let softmax = with(int("axis", 0), node("Softmax", &["x"], "y"));
    from_x_to_y(&["N", "3"], &["N", "3"], vec![softmax], vec![])
}

/// `[N, 3]`, scaled by the least and the greatest of all elements.
pub(crate) fn scaled_by_extremes() -> Vec<u8> {
    let nodes = vec![
        node("ReduceMin", &["x"], "least"),
        node("ReduceMax", &["x"], "greatest"),
        node("Sub", &["x", "least"], "above"),
        node("Sub", &["greatest", "least"], "range"),
        node("Div", &["above", "range"], "y"),
    ];
    from_x_to_y(&["N", "3"], &["N", "3"], nodes, vec![])
}

/// How alike each row of `[N, 3]` is to each other.
pub(crate) fn similarity() -> Vec<u8> {
    let nodes = vec![node("Transpose", &["x"], "turned"), node("MatMul", &["x", "turned"], "y")];
    from_x_to_y(&["N", "3"], &["N", "N"], nodes, vec![])
}

/// `[N, 3]`, quantised with a scale that is taken from all elements.
pub(crate) fn quantised_dynamically() -> Vec<u8> {
    let mut quantise = node("DynamicQuantizeLinear", &["x"], "quantised");
    quantise.output.extend(["scale".to_owned(), "zero".to_owned()]);
    let nodes = vec![quantise, node("DequantizeLinear", &["quantised", "scale", "zero"], "y")];
    from_x_to_y(&["N", "3"], &["N", "3"], nodes, vec![])
}

/// `[N, 3]`, normalised by mean and variance of the batch, as a model does that was exported in training mode.
pub(crate) fn normalised_in_training() -> Vec<u8> {
    let mut normalise = with(
        int("training_mode", 1),
        node("BatchNormalization", &["x", "scale", "bias", "mean", "variance"], "y"),
    );
    normalise.output.extend(["next_mean".to_owned(), "next_variance".to_owned()]);
    let of = |name: &str, value| constant(name, &[3], &[value; 3]);
    let constants = vec![of("scale", 1.0), of("bias", 0.0), of("mean", 0.0), of("variance", 1.0)];
    from_x_to_y(&["N", "3"], &["N", "3"], vec![normalise], constants)
}

/// Each element of `[N, 3]` and those before it in its row and in the rows before.
pub(crate) fn running_sum() -> Vec<u8> {
    let nodes = vec![with(int("reverse", 0), node("CumSum", &["x", "axis"], "y"))];
    from_x_to_y(&["N", "3"], &["N", "3"], nodes, vec![integers("axis", &[], &[0])])
}

/// Sums over the steps of `[steps, N, 2]`: rows lie along the second axis.
pub(crate) fn sums_over_time() -> Vec<u8> {
    let nodes = vec![with(int("reverse", 0), node("CumSum", &["x", "axis"], "y"))];
    from_x_to_y(&["steps", "N", "2"], &["steps", "N", "2"], nodes, vec![integers("axis", &[], &[0])])
}

/// A dense layer from `[?, 3]` to `[?, 2]`: the first axis has no name.
pub(crate) fn dense_without_names() -> Vec<u8> {
    let weights = constant("weights", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    from_x_to_y(&["", "3"], &["", "2"], vec![node("MatMul", &["x", "weights"], "y")], vec![weights])
}

/// `y = a + b`, whose first axes have two names.
pub(crate) fn sum_of_two_names() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Add", &["a", "b"], "y")],
        input: vec![tensor("a", Datatype::Fp32, &["s0", "2"]), tensor("b", Datatype::Fp32, &["s1", "2"])],
        output: vec![tensor("y", Datatype::Fp32, &["s0", "2"])],
        ..GraphProto::default()
    })
}

/// `y`, the sum of `x` where `mask` is 1: both `[N, seq]`.
pub(crate) fn masked_sum() -> Vec<u8> {
    let axes = integers("axes", &[1], &[1]);
    let sum = with(int("keepdims", 0), node("ReduceSum", &["seen", "axes"], "y"));
    model(GraphProto {
        node: vec![node("Mul", &["x", "mask"], "seen"), sum],
        initializer: vec![axes],
        input: ["x", "mask"].map(|name| tensor(name, Datatype::Fp32, &["N", "seq"])).to_vec(),
        output: vec![tensor("y", Datatype::Fp32, &["N"])],
        ..GraphProto::default()
    })
}

/// `y = 2 x`, of which the file tells no shapes.
pub(crate) fn doubled_in_any_shape() -> Vec<u8> {
    let bare = |name: &str| {
        let mut info = tensor(name, Datatype::Fp32, &[]);
        if let Some(of) = info.r#type.as_mut().and_then(|of| of.tensor_type.as_mut()) {
            of.shape = None;
        }
        info
    };
    model(GraphProto {
        node: vec![node("Add", &["x", "x"], "y")],
        input: vec![bare("x")],
        output: vec![bare("y")],
        ..GraphProto::default()
    })
}
