//! JSON: decoding of requests, encoding of responses.

use std::hint::black_box;

use benches::{PIXELS, ROWS, request, response};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oip::Nulls;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json/decode_request");
    for rows in ROWS {
        let body = oip::encode_request(&request(rows), &[]).expect("FP32 can be written as JSON").body();
        group.throughput(Throughput::Elements((rows * PIXELS) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &body, |bencher, body| {
            bencher.iter(|| {
                oip::json::decode_request(black_box(body), Nulls::Refuse)
                    .expect("it was written by the encoder")
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json/encode_response");
    for rows in ROWS {
        let response = response(rows);
        group.throughput(Throughput::Elements(rows as u64 * 10));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &response, |bencher, response| {
            bencher.iter(|| {
                oip::encode_response(black_box(response), &[]).expect("FP32 can be written as JSON")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
