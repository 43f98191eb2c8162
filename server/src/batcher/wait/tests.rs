//! Leaders that wait for more rows.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    batcher::{
        BatchPolicy, Batcher, Instance, Policies,
        tests::{AddOne, SHORT, batcher, policy, request, soon},
    },
    executor::RunCost,
    telemetry::Metrics,
};

#[tokio::test(start_paused = true)]
async fn a_leader_waits_for_the_configured_delay_and_no_longer() {
    let executor = AddOne::default();
    let runs = Arc::clone(&executor.runs);
    let policy = BatchPolicy {
        max_queue_delay: Duration::from_millis(100),
        preferred_batch_size: vec![4],
        ..policy()
    };
    let batcher = batcher(vec![executor], policy, SHORT);
    let started = Instant::now();
    batcher.submit(request(1, 1, 1), soon()).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 100, "alone, it waits the whole delay");

    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let batcher = batcher.clone();
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(number * 10)).await;
            batcher.submit(request(1, 1, 1), soon()).await.unwrap()
        });
    }
    tasks.join_all().await;
    assert_eq!(started.elapsed().as_millis(), 30, "the fourth makes the preferred size");
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_leader_with_all_cores_waits_for_returning_clients() {
    let executor = AddOne { busy: Duration::from_millis(2), ..AddOne::default() };
    let runs = Arc::clone(&executor.runs);
    let metrics = Metrics::new().unwrap().model("add", "1");
    let instances = vec![Instance::new(Box::new(executor))];
    let policy = BatchPolicy { policies: Policies::adaptive(1, true), ..policy() };
    let batcher = Batcher::new(instances, None, policy, RunCost::of_rows(Duration::from_secs(10)), metrics);
    let mut clients = JoinSet::new();
    for client in 0..3 {
        let batcher = batcher.clone();
        clients.spawn(async move {
            for turn in 0..10 {
                // Later than a join probe lasts, except for the very first request: the others arrive while its batch
                // runs.
                let later = if (client, turn) == (0, 0) { 0 } else { 20 };
                for _ in 0..later {
                    tokio::task::yield_now().await;
                }
                batcher.submit(request(1, 1, 1), soon()).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    // One batch for each request of a client, and a few more until all three meet and as they leave.
    assert!(runs.load(Ordering::Relaxed) <= 13, "{runs:?}");
}
