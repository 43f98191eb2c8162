//! ONNX Runtime alone with the digits model: the minimum time of a request.

use std::hint::black_box;

use benches::{digits_model, pictures, runtime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use decima_server::{
    batcher::gather::{Gatherer, RequestInputs},
    executor::{Executor as _, ModelSource, OnnxExecutor, SessionOptions},
};

fn execute(criterion: &mut Criterion) {
    let runtime = runtime().expect("ONNX Runtime loads");
    let (mut executor, _) =
        OnnxExecutor::load(&runtime, &ModelSource::file(digits_model()), &SessionOptions::new("", 1))
            .expect("models/digits/1/model.onnx is a model");
    let mut group = criterion.benchmark_group("executor/digits");
    for rows in [1, 4, 16, 32, 64] {
        let inputs = [pictures(rows)];
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &inputs, |bencher, inputs| {
            // The executor needs aligned batches, as the gatherer makes them.
            Gatherer::default().gather(&[RequestInputs::of(inputs)], |batch| {
                bencher.iter(|| executor.execute(black_box(batch), None).expect("the model takes pictures"));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, execute);
criterion_main!(benches);
