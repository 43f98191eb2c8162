//! Binary tensor data: decoding of requests, encoding of responses.

use std::hint::black_box;

use benches::{ROWS, binary_request, response};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oip::Nulls;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("binary/decode_request");
    for rows in ROWS {
        let encoded = oip::encode_request(&binary_request(rows), &[true]).expect("FP32 can be sent as bytes");
        let length = encoded.json_length.expect("the picture follows the JSON");
        group.throughput(Throughput::Bytes(encoded.body().len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &encoded.body(), |bencher, body| {
            bencher.iter(|| {
                oip::binary::decode_request(black_box(body), length, Nulls::Refuse)
                    .expect("it was written by the encoder")
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("binary/encode_response");
    for rows in ROWS {
        let response = response(rows);
        group.throughput(Throughput::Elements(rows as u64 * 10));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &response, |bencher, response| {
            bencher.iter(|| {
                oip::encode_response(black_box(response), &[true]).expect("FP32 can be sent as bytes")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
