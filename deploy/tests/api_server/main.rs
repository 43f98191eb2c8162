//! The manifests and `decima-trainer deploy` against a real API server with the definitions of `KServe`, Istio, Prometheus,
//! Katib and Trainer. No controller of theirs runs: what becomes ready is made so by the tests.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod accepted;
mod cluster;
mod deploy;
mod gateway;
mod refused;
