//! ONNX models for tests: one for each datatype, and one for each odd case.

use std::{fs, path::Path};

use oip::Datatype;
use onnx_graph::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use prost::Message;

/// The number of a datatype in the ONNX format.
fn element_type(datatype: Datatype) -> i32 {
    match datatype {
        Datatype::Fp32 => data_type::FLOAT,
        Datatype::Uint8 => 2,
        Datatype::Int8 => 3,
        Datatype::Uint16 => 4,
        Datatype::Int16 => 5,
        Datatype::Int32 => 6,
        Datatype::Int64 => data_type::INT64,
        Datatype::Bytes => 8,
        Datatype::Bool => 9,
        Datatype::Fp16 => 10,
        Datatype::Fp64 => 11,
        Datatype::Uint32 => 12,
        Datatype::Uint64 => 13,
        Datatype::Bf16 => 16,
    }
}

pub(crate) fn tensor(name: &str, datatype: Datatype, dims: &[&str]) -> ValueInfoProto {
    let dimension = |dim: &&str| Dimension {
        value: Some(
            dim.parse()
                .map_or_else(|_| DimensionValue::DimParam((*dim).to_owned()), DimensionValue::DimValue),
        ),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor_type = Some(TensorType { elem_type: element_type(datatype), shape });
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type, ..TypeProto::default() }),
        doc_string: String::new(),
    }
}

pub(crate) fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: operator.to_owned(),
        ..NodeProto::default()
    }
}

pub(crate) fn constant(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into();
    TensorProto {
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        name: name.to_owned(),
        raw_data,
        ..TensorProto::default()
    }
}

pub(crate) fn model(graph: GraphProto) -> Vec<u8> {
    ModelProto {
        ir_version: 8,
        producer_name: "tests".into(),
        graph: Some(GraphProto { name: "test".into(), ..graph }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// `y = x`, shape `[N, 2]`, of any datatype.
pub(crate) fn identity(datatype: Datatype) -> Vec<u8> {
    identity_of(datatype, &["N", "2"], &["N", "2"])
}

/// `y = x` with these shapes.
pub(crate) fn identity_of(datatype: Datatype, input: &[&str], output: &[&str]) -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Identity", &["x"], "y")],
        input: vec![tensor("x", datatype, input)],
        output: vec![tensor("y", datatype, output)],
        ..GraphProto::default()
    })
}

/// `sum = left + right` and `difference = left - right`, shape `[N]`.
pub(crate) fn two_inputs() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Add", &["left", "right"], "sum"), node("Sub", &["left", "right"], "difference")],
        input: vec![tensor("left", Datatype::Fp32, &["N"]), tensor("right", Datatype::Fp32, &["N"])],
        output: vec![tensor("sum", Datatype::Fp32, &["N"]), tensor("difference", Datatype::Fp32, &["N"])],
        ..GraphProto::default()
    })
}

/// `total`, shape `[2]`: the sum of all rows of `x`, shape `[N, 2]`. Joining requests would mix them.
pub(crate) fn sum_of_rows() -> Vec<u8> {
    let axes = TensorProto {
        dims: vec![1],
        data_type: data_type::INT64,
        name: "axes".into(),
        raw_data: 0_i64.to_le_bytes().to_vec().into(),
        ..TensorProto::default()
    };
    let keep =
        AttributeProto { name: "keepdims".into(), r#type: attribute_type::INT, ..AttributeProto::default() };
    model(GraphProto {
        node: vec![NodeProto { attribute: vec![keep], ..node("ReduceSum", &["x", "axes"], "total") }],
        initializer: vec![axes],
        input: vec![tensor("x", Datatype::Fp32, &["N", "2"])],
        output: vec![tensor("total", Datatype::Fp32, &["2"])],
        ..GraphProto::default()
    })
}

/// `root`, the square root of `x`, shape `[N]`: NaN for a negative number.
pub(crate) fn square_root() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Sqrt", &["x"], "root")],
        input: vec![tensor("x", Datatype::Fp32, &["N"])],
        output: vec![tensor("root", Datatype::Fp32, &["N"])],
        ..GraphProto::default()
    })
}

/// `value`, shape `[N]`: the entry of a table of four at `index`. ONNX Runtime fails on an index beyond it.
pub(crate) fn table() -> Vec<u8> {
    model(GraphProto {
        node: vec![node("Gather", &["table", "index"], "value")],
        initializer: vec![constant("table", &[4], &[10.0, 11.0, 12.0, 13.0])],
        input: vec![tensor("index", Datatype::Int64, &["N"])],
        output: vec![tensor("value", Datatype::Fp32, &["N"])],
        ..GraphProto::default()
    })
}

/// `y`, shape `[N, 1, 1]`: `x` after much arithmetic, some tens of milliseconds a row.
pub(crate) fn slow() -> Vec<u8> {
    const SIDE: usize = 256;
    const PRODUCTS: usize = 60;
    let spread = constant("spread", &[SIDE as i64, SIDE as i64], &vec![1.0; SIDE * SIDE]);
    let mixing = constant("mixing", &[SIDE as i64, SIDE as i64], &vec![1.0 / SIDE as f32; SIDE * SIDE]);
    let mut nodes = vec![node("Mul", &["x", "spread"], "m0")];
    for product in 0..PRODUCTS {
        nodes.push(node("MatMul", &[&format!("m{product}"), "mixing"], &format!("m{}", product + 1)));
    }
    let axes = AttributeProto {
        name: "axes".into(),
        ints: vec![1, 2],
        r#type: attribute_type::INTS,
        ..AttributeProto::default()
    };
    let mean = node("ReduceMean", &[&format!("m{PRODUCTS}")], "y");
    nodes.push(NodeProto { attribute: vec![axes], ..mean });
    model(GraphProto {
        node: nodes,
        initializer: vec![spread, mixing],
        input: vec![tensor("x", Datatype::Fp32, &["N", "1", "1"])],
        output: vec![tensor("y", Datatype::Fp32, &["N", "1", "1"])],
        ..GraphProto::default()
    })
}

/// Writes a model into a repository.
pub(crate) fn write(repository: &Path, name: &str, version: &str, model: &[u8]) {
    let folder = repository.join(name).join(version);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.onnx"), model).unwrap();
}
