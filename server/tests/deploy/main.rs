//! Holds `deploy/` to the server: every flag, variable, port, path and file that it names must exist, and
//! the pods that `KServe` makes of it must answer.
#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test can do nothing about errors but stop, and says what it left out"
)]

mod container;
mod dockerfile;
mod manifests;
mod pods;
mod program;
mod schemas;
mod workspace;
