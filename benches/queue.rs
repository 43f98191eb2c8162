//! The batcher's queue without a runtime: arrivals, batches and withdrawals.

use std::{hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use decima_server::{
    batcher::queue::{Admission, BatchQueue, Entry, Handover, RowBudget, Ticket},
    request::{schedule::Priority, validate::Group},
};

/// Requests that wait at the same time.
const WAITING: [usize; 2] = [64, 1024];

/// Rows per batch.
const BATCH: usize = 32;

fn entry(group: usize) -> Entry<usize> {
    Entry { rows: 1, group: Some(Group::from_slice(&[group])), payload: 0 }
}

/// Adds `count` requests behind one that is running. Their shapes alternate between `groups` different ones.
fn fill(queue: &mut BatchQueue<usize, ()>, count: usize, groups: usize) -> Vec<Ticket> {
    (0..count)
        .filter_map(|index| match queue.admit(entry(index % groups), Priority::DEFAULT) {
            Admission::Wait(ticket) => Some(ticket),
            Admission::Lead(..) | Admission::Full(_) => None,
        })
        .collect()
}

/// Takes batches until no request waits and the instance is free again.
fn drain(queue: &mut BatchQueue<usize, ()>) {
    while let Handover::Appoint((), leader) = queue.hand_back(()) {
        black_box(queue.join(leader.group.as_ref(), BATCH - leader.rows));
        queue.end_forming();
    }
}

fn fill_and_drain(criterion: &mut Criterion) {
    for (name, groups) in [("queue/one_shape", 1), ("queue/four_shapes", 4)] {
        let mut group = criterion.benchmark_group(name);
        for waiting in WAITING {
            group.throughput(Throughput::Elements(waiting as u64));
            group.bench_with_input(BenchmarkId::from_parameter(waiting), &waiting, |bencher, &waiting| {
                let mut queue = BatchQueue::new(vec![()], Arc::new(RowBudget::new(waiting)));
                bencher.iter(|| {
                    fill(&mut queue, waiting + 1, groups);
                    drain(&mut queue);
                });
            });
        }
        group.finish();
    }
}

fn withdraw(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue/withdraw");
    for waiting in WAITING {
        group.throughput(Throughput::Elements(waiting as u64));
        group.bench_with_input(BenchmarkId::from_parameter(waiting), &waiting, |bencher, &waiting| {
            let mut queue = BatchQueue::new(vec![()], Arc::new(RowBudget::new(waiting)));
            bencher.iter(|| {
                for ticket in fill(&mut queue, waiting + 1, 1).into_iter().rev() {
                    black_box(queue.withdraw(ticket));
                }
                drain(&mut queue);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fill_and_drain, withdraw);
criterion_main!(benches);
