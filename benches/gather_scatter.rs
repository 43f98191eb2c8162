//! Gathering the inputs of requests into a batch, and scattering its outputs to them.

use std::hint::black_box;

use benches::{pictures, scores};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use decima_server::batcher::{
    gather::{Gatherer, RequestInputs},
    scatter::scatter,
};

/// Requests per batch, with one row each.
const REQUESTS: [usize; 3] = [1, 16, 32];

fn gather(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gather");
    for count in REQUESTS {
        let requests = vec![[pictures(1)]; count];
        let inputs: Vec<_> = requests.iter().map(|inputs| RequestInputs::of(inputs)).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &inputs, |bencher, inputs| {
            let mut gatherer = Gatherer::default();
            bencher.iter(|| gatherer.gather(black_box(inputs), |batch| black_box(batch[0].data[0])));
        });
    }
    group.finish();
}

fn scatter_rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scatter");
    for count in REQUESTS {
        let (outputs, rows) = (vec![scores(count)], vec![1; count]);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &outputs, |bencher, outputs| {
            bencher.iter(|| {
                scatter(black_box(outputs.clone()), &rows, &[]).expect("there is a row for each request")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, gather, scatter_rows);
criterion_main!(benches);
