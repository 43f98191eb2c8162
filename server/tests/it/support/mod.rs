//! What the tests share: a server process, a client, and models made on the spot.

pub(crate) mod client;
mod collector;
pub(crate) mod corrections;
mod engine;
pub(crate) mod graphs;
mod grpc;
pub(crate) mod long;
pub(crate) mod models;
pub(crate) mod pictures;
pub(crate) mod rows;
mod server;
pub(crate) mod tls;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(crate) use client::{Answer, get, infer, infer_binary, post};
pub(crate) use collector::{Collector, Received};
pub(crate) use engine::runtime;
pub(crate) use grpc::Grpc;
pub(crate) use server::{Server, ServerBuilder};

/// Waits until it is so.
pub(crate) fn eventually(is_so: impl Fn() -> bool) {
    let gives_up = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < gives_up, "it never is");
        thread::yield_now();
    }
}
