//! The protocol over HTTP: routes, and what every request passes through; gRPC calls among them.

mod body;
mod connection;
mod handlers;
mod middleware;
mod pieces;
mod reply;
mod routes;
mod service;

use std::{sync::Arc, time::Duration};

pub use connection::listener::{Listener, Phases};
use routes::Routes;
pub use service::HttpService;

use crate::{config::CorsOrigins, inference::DataPlane, telemetry::Traces};

/// How a request is written: what its errors look like, and what it is called in traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// JSON, binary tensors, pictures, pages.
    Rest,
    /// A gRPC call.
    Grpc,
}

/// What handlers share.
#[derive(Clone, Debug)]
pub struct AppState {
    /// What the server does.
    pub data_plane: Arc<DataPlane>,
    /// Largest body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// Where requests are exported as traces, if anywhere.
    pub traces: Option<Traces>,
    /// Whether browsers get the page to draw on.
    pub ui: bool,
}

/// Every path of the server, and every gRPC call; pages of `cors` may ask from a browser.
pub fn service(state: AppState, cors: Option<&CorsOrigins>) -> HttpService {
    HttpService::new(Routes::all(state), cors)
}

/// gRPC calls and nothing else.
pub fn grpc_service(state: AppState) -> HttpService {
    HttpService::new(Routes::calls(state), None)
}
