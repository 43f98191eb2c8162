//! Tests the manifests and `decima-trainer deploy` with a real API server, which has the definitions of `KServe`,
//! Istio, Prometheus, Katib and Trainer. None of their controllers runs: the tests themselves set the status of
//! objects.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod accepted;
mod cluster;
mod deploy;
mod gateway;
mod refused;
