//! Tests of the row analysis.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod control_flow;
mod export_patterns;
mod graph;
mod malformed;
mod numbers;
mod operators;
mod value_dependent;
