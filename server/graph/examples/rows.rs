//! Prints the result of the row analysis of each ONNX file, one line per file.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::{env, fs, time::Instant};

fn main() {
    for path in env::args().skip(1) {
        println!("{path}: {}", line(&path));
    }
}

fn line(path: &str) -> String {
    let model = match fs::read(path).map_err(|e| e.to_string()) {
        Ok(bytes) => onnx_graph::read(bytes.into()).map_err(|e| e.to_string()),
        Err(error) => Err(error),
    };
    let model = match model {
        Ok(model) => model,
        Err(error) => return format!("unreadable: {error}"),
    };
    let start = Instant::now();
    let analysis = onnx_graph::analyse(&model);
    let took = start.elapsed();
    let rows = match &analysis.rows {
        Ok(axes) => format!("proven inputs={:?} outputs={:?}", axes.inputs, axes.outputs),
        Err(reason) => format!("not proven: {reason}"),
    };
    let long = analysis.value_dependent.map(|node| format!(" value-dependent: {node}")).unwrap_or_default();
    format!("{rows}{long} ({took:.1?})")
}
