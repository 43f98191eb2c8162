//! The pipeline, compiled, and run by its own local runner.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod compiled;
mod run;
