//! ONNX models whose runs take as long as a client says.

use oip::Datatype;
use onnx_graph::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type, data_type};

use super::models::{constant, model, node, tensor};

fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        g: Some(Box::new(graph)),
        r#type: attribute_type::GRAPH,
        ..AttributeProto::default()
    }
}

pub(super) fn integers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        name: name.into(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into(),
        ..TensorProto::default()
    }
}

/// A loop that counts how often it ran: `trips` names the number of its turns, `goes_on` whether there is another.
fn counting(trips: &str, goes_on: &str) -> NodeProto {
    let body = GraphProto {
        name: "body".into(),
        node: vec![node("Identity", &["goes_on"], "goes_on_out"), node("Add", &["so_far", "one"], "next")],
        initializer: vec![integers("one", &[], &[1])],
        input: vec![
            tensor("turn", Datatype::Int64, &[]),
            tensor("goes_on", Datatype::Bool, &[]),
            tensor("so_far", Datatype::Int64, &[]),
        ],
        output: vec![tensor("goes_on_out", Datatype::Bool, &[]), tensor("next", Datatype::Int64, &[])],
        ..GraphProto::default()
    };
    NodeProto { attribute: vec![graph("body", body)], ..node("Loop", &[trips, goes_on, "zero"], "count") }
}

/// `count` = `n`, both INT64 without an axis: a loop of `n` turns.
pub(crate) fn counts_to() -> Vec<u8> {
    model(GraphProto {
        node: vec![counting("n", "")],
        initializer: vec![integers("zero", &[], &[0])],
        input: vec![tensor("n", Datatype::Int64, &[])],
        output: vec![tensor("count", Datatype::Int64, &[])],
        ..GraphProto::default()
    })
}

/// `count` INT64 without an axis: 0 if `stop` is true, else the loop never ends, as with zeros.
pub(crate) fn endless_unless_told() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Not", &["stop"], "goes_on"), counting("", "goes_on")],
        initializer: vec![integers("zero", &[], &[0])],
        input: vec![tensor("stop", Datatype::Bool, &[])],
        output: vec![tensor("count", Datatype::Int64, &[])],
        ..GraphProto::default()
    })
}

/// `kept` INT64 `[k, 3]`: which of the `boxes` FP32 `[1, n, 4]` with these `scores` FP32 `[1, 1, n]` do not overlap. A
/// single operator that compares each box with all others that it keeps.
pub(crate) fn distinct_boxes() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("NonMaxSuppression", &["boxes", "scores", "most", "overlap"], "kept")],
        initializer: vec![integers("most", &[1], &[1 << 40]), constant("overlap", &[1], &[0.5])],
        input: vec![
            tensor("boxes", Datatype::Fp32, &["1", "n", "4"]),
            tensor("scores", Datatype::Fp32, &["1", "1", "n"]),
        ],
        output: vec![tensor("kept", Datatype::Int64, &["k", "3"])],
        ..GraphProto::default()
    })
}

/// `y`, which is said to have the shape `[4]`, is `x` FP32 `[2]` as often as `times` INT64 `[1]` says.
pub(crate) fn repeats_otherwise_than_declared() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Tile", &["x", "times"], "y")],
        input: vec![tensor("x", Datatype::Fp32, &["2"]), tensor("times", Datatype::Int64, &["1"])],
        output: vec![tensor("y", Datatype::Fp32, &["4"])],
        ..GraphProto::default()
    })
}

/// `zeros` FP32, as many as `n` INT64 `[1]` says: more than there is memory for, perhaps.
pub(crate) fn zeros() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("ConstantOfShape", &["n"], "zeros")],
        input: vec![tensor("n", Datatype::Int64, &["1"])],
        output: vec![tensor("zeros", Datatype::Fp32, &["count"])],
        ..GraphProto::default()
    })
}

/// `sum` = `left` + `right`, FP32 `[N]` and `[M]`: it fails unless they have as many elements.
pub(crate) fn sum_of_any_lengths() -> Vec<u8> {
    model(GraphProto {
        node: vec![NodeProto { name: "plus".into(), ..node("Add", &["left", "right"], "sum") }],
        input: vec![tensor("left", Datatype::Fp32, &["N"]), tensor("right", Datatype::Fp32, &["M"])],
        output: vec![tensor("sum", Datatype::Fp32, &["K"])],
        ..GraphProto::default()
    })
}
