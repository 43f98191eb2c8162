//! A request through the whole server in one process, without a socket.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use benches::{binary_request, digits_model, request, runtime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use decima_server::{
    access::Peer,
    config::BatchingMode,
    http::{AppState, HttpService, service},
    inference::DataPlane,
    loading::{Loader, Version},
    model::ModelConfig,
    repository::{Registry, State},
    request::preprocess::Decoding,
    telemetry::Metrics,
};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use oip::Encoded;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc; // the same allocator as the server's

/// Requests in flight at the same time.
const CONCURRENCY: [usize; 2] = [1, 64];

/// A server with the digits model, ready to serve, without a socket.
fn server() -> HttpService {
    let metrics = Metrics::new().expect("the names are constants");
    let loader = Loader {
        runtime: runtime().expect("ONNX Runtime loads"),
        threads: 1,
        batching: BatchingMode::Adaptive,
        max_queue_rows: 1024,
        decoding: Decoding::new(1, 1 << 24, 64 << 20, 1024),
        metrics: metrics.clone(),
    };
    let (path, config) = (digits_model(), ModelConfig::default());
    let version = Version { name: "digits", version: "1", path: &path, config: &config, example: None };
    let model = loader.load(version, None).expect("models/digits/1/model.onnx is a model");
    let registry = Registry::default();
    registry.set("digits", "1", State::Ready(Arc::new(model)));
    registry.set_listed();
    let data_plane = DataPlane::new(Arc::new(registry), metrics, Duration::from_secs(30));
    service(
        AppState {
            data_plane: Arc::new(data_plane),
            max_body_bytes: 64 << 20,
            body_read_timeout: Duration::from_secs(30),
            traces: None,
            access: Arc::default(),
            ui: false,
        },
        None,
    )
}

async fn infer(server: HttpService, encoded: Encoded) {
    let mut request = Request::post("/v2/models/digits/infer");
    if let Some(length) = encoded.json_length {
        request = request.header(oip::JSON_LENGTH_HEADER, length);
    }
    let request = request.body(Body::from(encoded.body())).expect("the request is a constant");
    let response = server.respond(request, Peer::default()).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("the body is in memory").to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
}

fn requests(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
    let server = runtime.block_on(async { server() });
    let json = oip::encode_request(&request(1), &[]).expect("FP32 can be written as JSON");
    let binary = oip::encode_request(&binary_request(1), &[true]).expect("FP32 can be sent as bytes");
    for (wire, encoded) in [("end_to_end/json", json), ("end_to_end/binary", binary)] {
        let mut group = criterion.benchmark_group(wire);
        for concurrency in CONCURRENCY {
            group.throughput(Throughput::Elements(concurrency as u64));
            group.bench_with_input(
                BenchmarkId::from_parameter(concurrency),
                &concurrency,
                |bencher, &count| {
                    bencher.iter(|| {
                        runtime.block_on(join_all((0..count).map(|_| infer(server.clone(), encoded.clone()))))
                    });
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
