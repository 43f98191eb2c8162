//! What the tests share: a server process, a client, and models made on the spot.

mod client;
mod collector;
mod grpc;
pub(crate) mod models;
mod server;

pub(crate) use client::{Answer, get, infer, infer_binary, post};
pub(crate) use collector::{Collector, Received};
pub(crate) use grpc::Grpc;
pub(crate) use server::{Server, ServerBuilder};
