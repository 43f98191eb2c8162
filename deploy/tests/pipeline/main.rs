//! Tests the compiled pipeline, and runs the pipeline with the local runner of Kubeflow Pipelines.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod compiled;
mod run;
