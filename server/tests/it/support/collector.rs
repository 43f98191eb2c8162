//! A collector of traces: the service that OTLP exporters send to, on loopback.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::{Router, body::Body};
use decima_server::{
    http::{Listener, Phases},
    platform::workers::Workers,
};
use http::Request;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use tonic::{Response, Status, async_trait};
use tower::ServiceExt as _;

/// The path of OTLP's one call for traces.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A span as it arrived, with what its service says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) service: BTreeMap<String, String>,
    pub(crate) span: Span,
}

impl Received {
    /// An attribute as text.
    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        texts(&self.span.attributes).remove(key)
    }
}

/// A collector on a port of its own; it collects as long as the test lasts.
#[derive(Debug)]
pub(crate) struct Collector {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Collector {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let received = Arc::default();
        let service = TraceServiceServer::new(Service { received: Arc::clone(&received) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let any_port = ([127, 0, 0, 1], 0).into();
        let connections = 16.try_into().unwrap();
        let listener =
            runtime.block_on(Listener::bind(any_port, connections, Duration::from_mins(1), 16)).unwrap();
        let address = listener.address().unwrap().to_string();
        let router = Router::new().route_service(EXPORT, service);
        thread::spawn(move || {
            let answer = move |request: Request<Body>, _| {
                let router = router.clone();
                async move { router.oneshot(request).await.unwrap() }
            };
            runtime.block_on(listener.serve(answer, Phases::default(), Workers::default()));
        });
        Self { address, received }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span that came so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct Service {
    received: Arc<Mutex<Vec<Received>>>,
}

#[async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let service = resource.resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let received = spans.map(|span| Received { service: service.clone(), span });
            self.received.lock().unwrap().extend(received);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect()
}
