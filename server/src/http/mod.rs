//! The HTTP server: connections, routes, middleware and handlers. gRPC calls arrive here too, and go to `grpc`.

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

use crate::{access::Access, config::CorsOrigins, inference::DataPlane, telemetry::Traces};

/// The format of a request. It decides the form of error responses and the names in traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// JSON, binary tensors, pictures, pages.
    Rest,
    /// A gRPC call.
    Grpc,
}

/// The state that all handlers share.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The operations that handlers call.
    pub data_plane: Arc<DataPlane>,
    /// Largest body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// Exports a span for each request; `None` if traces are off.
    pub traces: Option<Traces>,
    /// Decides who may ask for what.
    pub access: Arc<Access>,
    /// Whether browsers get the web page for drawing at `/`.
    pub ui: bool,
}

/// Makes the service with every path and every gRPC call. Web pages of the origins in `cors` may send requests.
pub fn service(state: AppState, cors: Option<&CorsOrigins>) -> HttpService {
    HttpService::new(Routes::all(state), cors)
}

/// Makes the service with gRPC calls only.
pub fn grpc_service(state: AppState) -> HttpService {
    HttpService::new(Routes::calls(state), None)
}
