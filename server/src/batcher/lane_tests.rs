//! Lanes under workers: each lane serves its own worker's requests, and idle workers help busy ones.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    tests::{AddOne, Gated, SHORT, numbers, policy, request, soon},
    *,
};
use crate::{executor::RunCost, platform::workers::Workers, telemetry::Metrics};

const PATIENCE: Duration = Duration::from_secs(30);

/// The policy of a model with a lane for each worker.
fn policy_of(workers: usize) -> BatchPolicy {
    BatchPolicy { policies: Policies::adaptive(workers, false), ..policy() }
}

/// Makes a batcher with one instance per worker, each of which computes for `busy`. Returns a counter of runs per
/// instance.
fn batcher(workers: usize, busy: Duration, row_duration: Duration) -> (Batcher, Vec<Arc<AtomicUsize>>) {
    let executors: Vec<_> = (0..workers).map(|_| AddOne { busy, ..AddOne::default() }).collect();
    let runs = executors.iter().map(|executor| Arc::clone(&executor.runs)).collect();
    let instances = executors.into_iter().map(|executor| Instance::new(Box::new(executor))).collect();
    let metrics = Metrics::new().unwrap().model("add", "1");
    (Batcher::new(instances, None, policy_of(workers), RunCost::of_rows(row_duration), metrics), runs)
}

/// Makes a batcher with one instance per worker. Each message to a returned sender lets one instance run one batch.
fn gated(workers: usize) -> (Batcher, Vec<mpsc::Sender<()>>) {
    let (open, gates): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel()).unzip();
    let gated = |gate| Gated { gate: Mutex::new(gate), order: Arc::default() };
    let instances = gates.into_iter().map(|gate| Instance::new(Box::new(gated(gate)))).collect();
    let metrics = Metrics::new().unwrap().model("gated", "1");
    (
        Batcher::new(
            instances,
            None,
            policy_of(workers),
            RunCost::of_rows(Duration::from_micros(900)),
            metrics,
        ),
        open,
    )
}

/// Sends `count` requests of one row from a worker at once, checks each answer, and sends its number to the receiver.
fn send(workers: &Workers, worker: usize, batcher: &Batcher, count: i32) -> mpsc::Receiver<i32> {
    let (sender, receiver) = mpsc::channel();
    let batcher = batcher.clone();
    workers.spawn_on(worker, async move {
        for number in 0..count {
            let (batcher, sender) = (batcher.clone(), sender.clone());
            tokio::spawn(async move {
                let answer = batcher.submit(request(number, 1, 1), soon()).await.unwrap();
                assert_eq!(numbers(&answer), [number + 1]);
                sender.send(number).unwrap();
            });
        }
    });
    receiver
}

fn all_of(receiver: &mpsc::Receiver<i32>, count: i32) {
    let mut answered: Vec<i32> = (0..count).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..count).collect::<Vec<_>>());
}

fn counts(runs: &[Arc<AtomicUsize>]) -> Vec<usize> {
    runs.iter().map(|runs| runs.load(Ordering::Relaxed)).collect()
}

fn wait_until_idle(workers: &Workers, count: usize) {
    while workers.idle().count() < count {
        std::thread::yield_now();
    }
}

#[test]
fn a_worker_s_requests_run_on_its_own_instance() {
    let workers = Workers::start(3).unwrap();
    let (batcher, runs) = batcher(3, Duration::ZERO, SHORT);
    for worker in [0, 1, 1, 2, 1] {
        all_of(&send(&workers, worker, &batcher, 1), 1);
    }
    assert_eq!(counts(&runs), [1, 3, 1]);
}

#[test]
fn idle_workers_help_with_long_batches() {
    let workers = Workers::start(2).unwrap();
    let (batcher, runs) = batcher(2, Duration::from_millis(2), Duration::from_micros(200));
    wait_until_idle(&workers, 2);
    all_of(&send(&workers, 0, &batcher, 10), 10);
    assert_eq!(counts(&runs), [1, 1], "half of the rows each");
    // The instances have returned to their lanes.
    for worker in [0, 1] {
        wait_until_idle(&workers, 2);
        all_of(&send(&workers, worker, &batcher, 1), 1);
    }
    assert_eq!(counts(&runs), [2, 2]);
}

#[test]
fn helpers_that_find_no_request_return_their_instances() {
    let workers = Workers::start(4).unwrap();
    let (batcher, _) = batcher(4, Duration::from_millis(1), Duration::from_micros(900));
    for _ in 0..5 {
        wait_until_idle(&workers, 4);
        all_of(&send(&workers, 0, &batcher, 2), 2); // for three helpers and the leader itself
    }
    wait_until_idle(&workers, 4);
    assert!(batcher.shared.lanes.iter().all(|lane| lane.queue().free_instances() > 0));
}

/// Sends a request of sixteen rows from a worker. It is expected to take too long for the worker's thread.
fn send_long(workers: &Workers, worker: usize, batcher: &Batcher) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    let long = batcher.clone();
    workers.spawn_on(worker, async move {
        assert_eq!(numbers(&long.submit(request(5, 16, 1), soon()).await.unwrap()), [6; 16]);
        sender.send(()).unwrap();
    });
    while !batcher.shared.lanes.get(worker).queue().is_unattended() {
        std::thread::yield_now();
    }
    receiver
}

#[test]
fn while_its_own_instance_is_busy_for_long_a_lane_borrows() {
    let workers = Workers::start(2).unwrap();
    let (batcher, open) = gated(2);
    let long = send_long(&workers, 0, &batcher);
    open[1].send(()).unwrap();
    all_of(&send(&workers, 0, &batcher, 1), 1);
    open[0].send(()).unwrap();
    long.recv_timeout(PATIENCE).unwrap();
    assert_eq!(batcher.waiting(), 0);
}

#[test]
fn each_request_is_answered_while_others_leave_and_workers_help() {
    for row_duration in [0, 100, 600, 2000].map(Duration::from_micros) {
        let workers = Workers::start(3).unwrap();
        let (batcher, _) = batcher(3, Duration::from_micros(50), row_duration);
        let (sender, receiver) = mpsc::channel();
        for client in 0..30_i32 {
            let (batcher, sender) = (batcher.clone(), sender.clone());
            workers.spawn_on(client as usize % 2, async move {
                for turn in 0..40_i32 {
                    let number = 1000 + 100 * client + turn;
                    let submit = batcher.submit(request(number, 1 + turn as usize % 5, 2), soon());
                    if turn % 7 == client % 7 {
                        let _gone = tokio::time::timeout(Duration::from_micros(100), submit).await;
                    } else {
                        assert!(numbers(&submit.await.unwrap()).iter().all(|&answer| answer == number + 1));
                    }
                }
                sender.send(client).unwrap();
            });
        }
        all_of(&receiver, 30);
        assert_eq!((batcher.waiting(), batcher.queue_rows()), (0, 0));
    }
}

#[test]
fn all_lanes_share_one_budget_of_rows() {
    let workers = Workers::start(2).unwrap();
    let (batcher, open) = gated(2);
    let _long = [0, 1].map(|worker| send_long(&workers, worker, &batcher));
    // RowBudget for 256 rows: two requests of 100 fit, whichever lane they wait in, a third does not.
    let (sender, receiver) = mpsc::channel();
    for worker in [0, 1, 0] {
        let (batcher, sender) = (batcher.clone(), sender.clone());
        workers.spawn_on(worker, async move {
            let answer = batcher.submit(request(7, 100, 1), soon()).await;
            sender.send(answer.map(|answer| answer.len()).map_err(|error| error.code)).unwrap();
        });
    }
    let answer = || receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!(answer(), Err(ErrorCode::Overloaded));
    for gate in &open {
        (0..4).for_each(|_| gate.send(()).unwrap());
    }
    assert_eq!([answer(), answer()], [Ok(1), Ok(1)]);
}
