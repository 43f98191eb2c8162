//! Inference server for ONNX models that speaks the Open Inference Protocol.

pub mod app;
pub mod batcher;
pub mod classify;
pub mod cli;
pub mod config;
pub mod cpu_budget;
pub mod data_plane;
pub mod error;
pub mod executor;
pub mod exit;
pub mod feedback;
pub mod grpc;
pub mod http;
pub mod model;
pub mod ort_library;
pub mod preprocess;
pub mod process;
pub mod repository;
pub mod schedule;
pub mod telemetry;
pub mod validate;
pub mod workers;
