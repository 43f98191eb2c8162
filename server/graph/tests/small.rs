//! Small graphs that mix rows in many ways, and similar ones that do not (see `small/README.md`).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::PathBuf};

use bytes::Bytes;
use onnx_graph::{analyse, proto::ModelProto};
use prost::Message;

/// The name and the model of each graph.
fn graphs() -> Vec<(String, ModelProto)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/small/graphs.bin");
    let mut bytes = Bytes::from(fs::read(path).unwrap());
    let mut graphs = Vec::new();
    while !bytes.is_empty() {
        let model = ModelProto::decode_length_delimited(&mut bytes).unwrap();
        graphs.push((model.graph.as_ref().unwrap().name.clone(), model));
    }
    graphs
}

/// The result of the analysis, in the words of the headings.
fn said(model: &ModelProto) -> Result<String, String> {
    match analyse(model).rows {
        Ok(axes) => Ok(format!("independent {:?} -> {:?}", axes.inputs, axes.outputs)),
        Err(reason) => Err(reason.to_string()),
    }
}

#[test]
fn mixed_rows_are_never_proven() {
    let graphs = graphs();
    let mixed = graphs.iter().filter(|(heading, _)| heading.ends_with(": mixed"));
    let proven: Vec<&str> =
        mixed.filter(|(_, model)| said(model).is_ok()).map(|(heading, _)| heading.as_str()).collect();
    assert!(proven.is_empty(), "proven: {proven:?}");
    assert!(graphs.len() > 400, "all graphs are read");
}

#[test]
fn independent_rows_are_proven() {
    for (heading, model) in graphs() {
        let (name, right) = heading.split_once(": ").unwrap();
        if right != "mixed" {
            assert_eq!(said(&model), Ok(right.to_owned()), "{name}");
        }
    }
}
