//! A batcher without adaptive policies: what waits forms a batch, and nothing else does.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, mpsc},
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    tests::{AddOne, Gated, Located, SHORT, numbers, policy, request, soon},
    *,
};
use crate::{
    executor::{Executor, RunCost},
    telemetry::Metrics,
};

/// A row that is expected to take so long that no batch runs on a worker's thread.
const LONG: Duration = Duration::from_secs(1);

fn batcher(executors: Vec<Box<dyn Executor>>, policies: Policies, row: Duration) -> Batcher {
    let instances = executors.into_iter().map(Instance::new).collect();
    let policy = BatchPolicy { policies, ..policy() };
    Batcher::new(instances, None, policy, RunCost::of_rows(row), Metrics::new().unwrap().model("add", "1"))
}

/// Sends ten requests at once to a single instance, and returns how many batches answer them. No batch ends before
/// `waiting` of them wait.
async fn batches_for_ten(policies: Policies, waiting: usize) -> usize {
    let (open, gate) = mpsc::channel();
    let order = Arc::new(Mutex::new(Vec::new()));
    let batcher =
        batcher(vec![Box::new(Gated { gate: Mutex::new(gate), order: Arc::clone(&order) })], policies, LONG);
    let mut clients = JoinSet::new();
    for number in 100..110 {
        let batcher = batcher.clone();
        clients.spawn(async move {
            assert_eq!(numbers(&batcher.submit(request(number, 1, 1), soon()).await.unwrap()), [number + 1]);
        });
    }
    let gives_up = soon();
    while batcher.waiting() < waiting {
        assert!(Instant::now() < gives_up, "they never wait");
        tokio::task::yield_now().await;
    }
    (0..10).for_each(|_| open.send(()).unwrap());
    clients.join_all().await;
    order.lock().unwrap().len()
}

#[tokio::test]
async fn a_leader_without_policies_waits_for_nobody() {
    assert_eq!(batches_for_ten(Policies::STATIC, 9).await, 2, "the first alone, and then all that wait");
    assert_eq!(
        batches_for_ten(Policies::adaptive(1, false), 0).await,
        1,
        "the first leader probes for the others"
    );
}

/// Returns the threads that run batches which are known to be short.
async fn threads_of_short_batches(policies: Policies) -> HashSet<ThreadId> {
    let threads = Arc::default();
    let batcher = batcher(vec![Box::new(Located { threads: Arc::clone(&threads) })], policies, SHORT);
    for number in 0..10 {
        let answer = batcher.submit(request(100 + number, 1, 1), soon()).await.unwrap();
        assert_eq!(numbers(&answer), [101 + number]);
    }
    threads.lock().unwrap().clone()
}

#[tokio::test]
async fn without_policies_every_batch_runs_on_its_instance_s_thread() {
    let here = HashSet::from([thread::current().id()]);
    assert_eq!(threads_of_short_batches(Policies::adaptive(1, false)).await, here);
    let elsewhere = threads_of_short_batches(Policies::STATIC).await;
    assert!(elsewhere.len() == 1 && elsewhere != here, "{elsewhere:?}");
}

#[test]
fn without_policies_all_workers_share_one_lane_and_no_leader_waits() {
    let executors = || (0..3).map(|_| -> Box<dyn Executor> { Box::new(AddOne::default()) }).collect();
    let batcher = |policies| batcher(executors(), policies, SHORT).shared;
    let fixed = batcher(Policies::STATIC);
    assert_eq!(fixed.lanes.iter().map(|lane| lane.queue().free_instances()).collect::<Vec<_>>(), [3]);
    assert!(fixed.lanes.borrow(0).is_none() && fixed.lanes.helpers(0, 3).is_empty());
    assert!(fixed.lanes.iter().all(|lane| lane.join_probe.is_none()) && fixed.returning_clients.is_none());
    let adaptive = batcher(Policies::adaptive(3, true));
    assert_eq!(adaptive.lanes.iter().count(), 3);
    assert!(adaptive.lanes.borrow(0).is_some());
    assert!(
        adaptive.lanes.iter().all(|lane| lane.join_probe.is_some()) && adaptive.returning_clients.is_some()
    );
}
