//! The server as its users meet it: the real program, real models, real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod access;
mod batching;
mod batching_modes;
mod broken_models;
mod bucket;
mod classification;
mod content_coding;
mod cors;
mod datatypes;
mod disclosure;
mod documents;
mod elements;
mod extensions;
mod feedback;
mod grpc;
mod joining;
mod lifecycle;
mod limits;
mod metrics_compat;
mod model_control;
mod model_names;
mod newcomer;
mod openapi;
mod page;
mod passed_over;
mod pictures;
mod pictures_faults;
mod pictures_sent;
mod predictions;
mod preface;
mod protocol;
mod repository;
mod rewriting;
mod runs;
mod scheduling;
mod support;
mod taught;
mod tidy;
mod tls;
mod traces;
mod v1;
mod wires;
