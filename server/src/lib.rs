//! Inference server for ONNX models that speaks the Open Inference Protocol.

pub mod access;
pub mod app;
pub mod batcher;
pub mod cli;
pub mod config;
pub mod error;
pub mod executor;
pub mod feedback;
pub mod grpc;
pub mod http;
pub mod inference;
pub mod loading;
pub mod model;
pub mod platform;
pub mod repository;
pub mod request;
pub mod telemetry;
