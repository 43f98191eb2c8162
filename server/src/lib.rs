//! Inference server for ONNX models that speaks the Open Inference Protocol.

pub mod cli;
pub mod config;
pub mod cpu_budget;
pub mod exit;
pub mod ort_library;
pub mod telemetry;
