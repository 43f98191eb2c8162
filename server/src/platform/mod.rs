//! The machine and the process: CPUs, threads, ONNX Runtime's library, exit codes.

pub mod cpu_budget;
pub mod environment;
pub mod exit;
pub mod ort_library;
pub mod process;
pub mod usage;
pub mod workers;
