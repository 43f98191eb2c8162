//! Graphs that people have and that have to be rewritten before they can be served.

use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    ValueInfoProto, attribute_type, data_type,
};
use prost::Message;

/// A tensor with these dimensions, numbers or names; `None` for one without a shape.
fn tensor(name: &str, elem_type: i32, dims: Option<&[&str]>) -> ValueInfoProto {
    let value = |dim: &str| {
        dim.parse().map_or_else(|_| DimensionValue::DimParam(dim.to_owned()), DimensionValue::DimValue)
    };
    let dimension = |dim: &&str| Dimension { value: Some(value(dim)) };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor_type = Some(TensorType { elem_type, shape });
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type, sequence_type: None }),
        doc_string: String::new(),
    }
}

fn node(domain: &str, op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        input: names(inputs),
        output: names(outputs),
        name: format!("the_{}", outputs[outputs.len() - 1]),
        op_type: op_type.into(),
        domain: domain.into(),
        attribute: Vec::new(),
    }
}

fn with(mut node: NodeProto, attributes: impl IntoIterator<Item = AttributeProto>) -> NodeProto {
    node.attribute.extend(attributes);
    node
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, r#type: attribute_type::INT, ..AttributeProto::default() }
}

fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    let g = Some(Box::new(graph));
    AttributeProto { name: name.into(), g, r#type: attribute_type::GRAPH, ..AttributeProto::default() }
}

fn model(graph: GraphProto, functions: Vec<FunctionProto>) -> Vec<u8> {
    let import = |(domain, version): (&str, i64)| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        graph: Some(GraphProto { name: "test".into(), ..graph }),
        opset_import: [("", 17), ("ai.onnx.ml", 1), ("mine", 1)].map(import).to_vec(),
        functions,
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// `Div`, `Mod` and, with `fmod` 1, `Mod` again: quotient, remainder and signed remainder of `a` and `b`, of any shapes.
pub(crate) fn division(elem_type: i32) -> Vec<u8> {
    let fmod = with(node("", "Mod", &["a", "b"], &["signed"]), [int("fmod", 1)]);
    let of = |name| tensor(name, elem_type, None);
    let graph = GraphProto {
        node: vec![
            node("", "Div", &["a", "b"], &["quotient"]),
            node("", "Mod", &["a", "b"], &["remainder"]),
            fmod,
        ],
        input: vec![of("a"), of("b")],
        output: vec![of("quotient"), of("remainder"), of("signed")],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `a / b` of INT64 `[N]`, in both branches of an `If`, in a `Loop` inside one of them and in a function that the other
/// calls: `in_loop` chooses.
pub(crate) fn nested_division() -> Vec<u8> {
    let of = |name| tensor(name, data_type::INT64, Some(&["N"]));
    let flag = |name| tensor(name, data_type::BOOL, Some(&[]));
    let body = GraphProto {
        name: "body".into(),
        node: vec![
            node("", "Identity", &["going"], &["goes_on"]),
            node("", "Div", &["so_far", "b"], &["next"]),
        ],
        input: vec![tensor("turn", data_type::INT64, Some(&[])), flag("going"), of("so_far")],
        output: vec![flag("goes_on"), of("next")],
        ..GraphProto::default()
    };
    let branch = |name: &str, node: NodeProto, output: &str| GraphProto {
        name: name.into(),
        node: vec![node],
        output: vec![tensor(output, data_type::INT64, Some(&["N"]))],
        ..GraphProto::default()
    };
    let looping = with(node("", "Loop", &["once", "", "a"], &["looped"]), [graph("body", body)]);
    let choice = with(
        node("", "If", &["in_loop"], &["q"]),
        [
            graph("then_branch", branch("then", looping, "looped")),
            graph(
                "else_branch",
                branch("else", node("mine", "Quotient", &["a", "b"], &["called"]), "called"),
            ),
        ],
    );
    let function = FunctionProto {
        name: "Quotient".into(),
        domain: "mine".into(),
        input: vec!["x".into(), "y".into()],
        output: vec!["z".into()],
        node: vec![node("", "Div", &["x", "y"], &["z"])],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    };
    let once = TensorProto {
        name: "once".into(),
        data_type: data_type::INT64,
        int64_data: vec![1],
        ..TensorProto::default()
    };
    let main = GraphProto {
        node: vec![choice],
        input: vec![of("a"), of("b"), flag("in_loop")],
        output: vec![of("q")],
        initializer: vec![once],
        ..GraphProto::default()
    };
    model(main, vec![function])
}

/// `y = -9223372036854775808 / -1 + x`, of constants that ONNX Runtime divides while it loads the model.
pub(crate) fn division_of_constants() -> Vec<u8> {
    let constant = |name: &str, value| TensorProto {
        name: name.into(),
        dims: vec![1],
        data_type: data_type::INT64,
        int64_data: vec![value],
        ..TensorProto::default()
    };
    let of = |name| tensor(name, data_type::INT64, Some(&["N"]));
    let graph = GraphProto {
        node: vec![node("", "Div", &["least", "minus"], &["q"]), node("", "Add", &["q", "x"], &["y"])],
        input: vec![of("x")],
        output: vec![of("y")],
        initializer: vec![constant("least", i64::MIN), constant("minus", -1)],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `q = a / b` of INT64 and `z = x + w` of FP32 `[2]`, where `w` lies in `weights.bin`.
pub(crate) fn division_with_external_data() -> Vec<u8> {
    let entry = |(key, value): (&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
    let weight = TensorProto {
        name: "w".into(),
        dims: vec![2],
        data_type: data_type::FLOAT,
        external_data: [("location", "weights.bin"), ("offset", "0"), ("length", "8")].map(entry).to_vec(),
        data_location: 1,
        ..TensorProto::default()
    };
    let (whole, real) = (data_type::INT64, data_type::FLOAT);
    let graph = GraphProto {
        node: vec![node("", "Div", &["a", "b"], &["q"]), node("", "Add", &["x", "w"], &["z"])],
        input: vec![
            tensor("a", whole, Some(&["N"])),
            tensor("b", whole, Some(&["N"])),
            tensor("x", real, Some(&["2"])),
        ],
        output: vec![tensor("q", whole, Some(&["N"])), tensor("z", real, Some(&["2"]))],
        initializer: vec![weight],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// A classifier as scikit-learn's exporter writes it: `label` and `scores`, a sequence of maps by `ZipMap`.
pub(crate) fn classifier(classes: &[&str]) -> Vec<u8> {
    let labels = AttributeProto {
        name: "classlabels_strings".into(),
        strings: classes.iter().map(|class| class.as_bytes().to_vec().into()).collect(),
        r#type: attribute_type::STRINGS,
        ..AttributeProto::default()
    };
    let graph = GraphProto {
        node: vec![
            with(node("", "ArgMax", &["x"], &["label"]), [int("axis", 1), int("keepdims", 0)]),
            with(node("", "Softmax", &["x"], &["probabilities"]), [int("axis", 1)]),
            with(node("ai.onnx.ml", "ZipMap", &["probabilities"], &["scores"]), [labels]),
        ],
        input: vec![tensor("x", data_type::FLOAT, Some(&["N", "3"]))],
        output: vec![
            tensor("label", data_type::INT64, Some(&["N"])),
            ValueInfoProto { name: "scores".into(), ..ValueInfoProto::default() },
        ],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `parts`, a sequence of the rows of `x`.
pub(crate) fn sequence() -> Vec<u8> {
    let graph = GraphProto {
        node: vec![node("", "SplitToSequence", &["x"], &["parts"])],
        input: vec![tensor("x", data_type::FLOAT, Some(&["N", "3"]))],
        output: vec![ValueInfoProto { name: "parts".into(), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `lower`, the texts `[N]` in lower case, by the locale that the operator has where none is named.
pub(crate) fn lower_case() -> Vec<u8> {
    let case = AttributeProto {
        name: "case_change_action".into(),
        s: "LOWER".into(),
        r#type: attribute_type::STRING,
        ..AttributeProto::default()
    };
    let graph = GraphProto {
        node: vec![with(node("", "StringNormalizer", &["text"], &["lower"]), [case])],
        input: vec![tensor("text", data_type::STRING, Some(&["N"]))],
        output: vec![tensor("lower", data_type::STRING, Some(&["N"]))],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `y = x > threshold`, where `threshold` is 0.5 unless a request gives another.
pub(crate) fn threshold() -> Vec<u8> {
    let default = TensorProto {
        name: "threshold".into(),
        dims: vec![1],
        data_type: data_type::FLOAT,
        float_data: vec![0.5],
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![node("", "Greater", &["x", "threshold"], &["y"])],
        input: vec![
            tensor("threshold", data_type::FLOAT, Some(&["1"])),
            tensor("x", data_type::FLOAT, Some(&["batch"])),
        ],
        output: vec![tensor("y", data_type::BOOL, Some(&["batch"]))],
        initializer: vec![default],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// A recurrent operator over `x` `[steps, batch, 2]`, with all weights 0.
pub(crate) fn recurrent(op_type: &str, gates: i64) -> Vec<u8> {
    let weights = |name: &str, columns: i64| TensorProto {
        name: name.into(),
        dims: vec![1, gates * 3, columns],
        data_type: data_type::FLOAT,
        float_data: vec![0.0; (gates * 3 * columns) as usize],
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![with(node("", op_type, &["x", "w", "r"], &["", "y"]), [int("hidden_size", 3)])],
        input: vec![tensor("x", data_type::FLOAT, Some(&["steps", "batch", "2"]))],
        output: vec![tensor("y", data_type::FLOAT, Some(&["1", "batch", "3"]))],
        initializer: vec![weights("w", 2), weights("r", 3)],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// The spectrum of `x` `[1, length, 1]`, two samples on each time, of frames as long as `frame` says.
pub(crate) fn spectrum() -> Vec<u8> {
    let step = TensorProto {
        name: "step".into(),
        data_type: data_type::INT64,
        int64_data: vec![2],
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![node("", "STFT", &["x", "step", "", "frame"], &["y"])],
        input: vec![
            tensor("x", data_type::FLOAT, Some(&["1", "length", "1"])),
            tensor("frame", data_type::INT64, Some(&[])),
        ],
        output: vec![tensor("y", data_type::FLOAT, Some(&["1", "frames", "bins", "2"]))],
        initializer: vec![step],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `y`, the last of the `steps` of `x` `[N, 3, steps]` but one normalised, each channel by itself: without any where there is
/// but one step.
pub(crate) fn normalised_tail() -> Vec<u8> {
    let integers = |name: &str, value: i64| TensorProto {
        name: name.into(),
        dims: vec![1],
        data_type: data_type::INT64,
        int64_data: vec![value],
        ..TensorProto::default()
    };
    let channels = |name: &str, value: f32| TensorProto {
        name: name.into(),
        dims: vec![3],
        data_type: data_type::FLOAT,
        float_data: vec![value; 3],
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![
            node("", "Slice", &["x", "one", "end", "axis"], &["tail"]),
            node("", "InstanceNormalization", &["tail", "scale", "bias"], &["y"]),
        ],
        input: vec![tensor("x", data_type::FLOAT, Some(&["N", "3", "steps"]))],
        output: vec![tensor("y", data_type::FLOAT, None)],
        initializer: vec![
            integers("one", 1),
            integers("end", i64::MAX),
            integers("axis", 2),
            channels("scale", 1.0),
            channels("bias", 0.0),
        ],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `y`, the different rows of `x` `[a, b]`.
pub(crate) fn different_rows() -> Vec<u8> {
    let graph = GraphProto {
        node: vec![with(node("", "Unique", &["x"], &["y"]), [int("axis", 0)])],
        input: vec![tensor("x", data_type::FLOAT, Some(&["a", "b"]))],
        output: vec![tensor("y", data_type::FLOAT, None)],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}

/// `y`, the convolution of `x` `[N, 1, length]` with weights that the request brings.
pub(crate) fn convolution_with_own_weights() -> Vec<u8> {
    let graph = GraphProto {
        node: vec![node("", "Conv", &["x", "weights"], &["y"])],
        input: vec![
            tensor("x", data_type::FLOAT, Some(&["N", "1", "length"])),
            tensor("weights", data_type::FLOAT, Some(&["out", "1", "kernel"])),
        ],
        output: vec![tensor("y", data_type::FLOAT, None)],
        ..GraphProto::default()
    };
    model(graph, Vec::new())
}
