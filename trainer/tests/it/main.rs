//! Tests of the trainer's program: its output, the files that it writes, and its models in ONNX Runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod accuracy;
mod command_line;
mod drawings;
mod fetching;
mod interrupting;
mod latest;
mod onnx;
mod publishing;
mod reporting;
mod steps;
mod support;
mod training;
