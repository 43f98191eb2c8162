//! What graphs say of their rows.

mod control_flow;
mod exports;
mod graph;
mod malformed;
mod numbers;
mod operators;
mod value_dependent;
