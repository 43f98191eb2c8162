//! The batcher under a runtime: each request gets its own answer, whatever other requests do.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use bytes::Bytes;
use oip::{Datatype, Shape, Tensor};
use smallvec::{SmallVec, smallvec};
use tokio::task::JoinSet;

use super::*;
use crate::{
    executor::{BatchInput, ExecuteError, Executor, Stop},
    request::schedule::Schedule,
    telemetry::Metrics,
};

/// Time of a row that is known to be short.
pub(super) const SHORT: Duration = Duration::from_nanos(1);

/// A model that adds one to each number, fails on 13, panics on 14, and computes for `busy`.
#[derive(Debug, Default)]
pub(super) struct AddOne {
    pub(super) runs: Arc<AtomicUsize>,
    pub(super) busy: Duration,
    /// Returns the sum of the whole batch, as a model without a batch axis does.
    pub(super) sums: bool,
}

impl Executor for AddOne {
    fn execute(&mut self, inputs: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let numbers: &[i32] = bytemuck::cast_slice(inputs[0].data);
        if numbers.contains(&13) {
            return Err(ExecuteError::server("13 is unlucky"));
        }
        assert!(!numbers.contains(&14), "14 is worse");
        let started = std::time::Instant::now();
        while started.elapsed() < self.busy {
            std::hint::spin_loop();
        }
        let mut results: Vec<i32> = numbers.iter().map(|number| number + 1).collect();
        let mut shape = inputs[0].shape.clone();
        if self.sums {
            results = vec![results.iter().sum()];
            shape = Shape(smallvec![1]);
        }
        let data = Bytes::copy_from_slice(bytemuck::cast_slice(&results));
        Ok(vec![Tensor { datatype: Datatype::Int32, shape, data }])
    }
}

pub(super) fn policy() -> BatchPolicy {
    BatchPolicy {
        max_joined_rows: 16,
        max_queue_rows: 256,
        max_queue_delay: Duration::ZERO,
        preferred_batch_size: Vec::new(),
        time_depends_on: TimeDependsOn::Rows,
        policies: Policies::adaptive(1, false),
    }
}

pub(super) fn batcher(executors: Vec<AddOne>, policy: BatchPolicy, row_duration: Duration) -> Batcher {
    let instances = executors.into_iter().map(|executor| Instance::new(Box::new(executor))).collect();
    Batcher::new(
        instances,
        None,
        policy,
        RunCost::of_rows(row_duration),
        Metrics::new().unwrap().model("add", "1"),
    )
}

/// Makes a request of `rows` rows with `width` numbers each, all of them `number`.
pub(super) fn request(number: i32, rows: usize, width: usize) -> ValidRequest {
    let numbers = vec![number; rows * width];
    let data = Bytes::copy_from_slice(bytemuck::cast_slice(&numbers));
    let tensor = Tensor { datatype: Datatype::Int32, shape: Shape(smallvec![rows, width]), data };
    let schedule = Schedule { priority: Priority::DEFAULT, timeout: None };
    ValidRequest {
        inputs: smallvec![tensor],
        optional: SmallVec::new(),
        rows,
        group: Some(smallvec![width]),
        schedule,
    }
}

pub(super) fn numbers(answer: &Answer) -> Vec<i32> {
    answer[0].data.chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Sends 600 requests of mixed rows and widths from 20 clients and checks every answer.
async fn each_request_gets_its_own_rows(row_duration: Duration, policies: Policies) {
    let policy = BatchPolicy { policies, ..policy() };
    let batcher = batcher(vec![AddOne::default(), AddOne::default()], policy, row_duration);
    let mut tasks = JoinSet::new();
    for client in 0..20_i32 {
        let batcher = batcher.clone();
        tasks.spawn(async move {
            for turn in 0..30_i32 {
                let (number, rows, width) =
                    (1000 + client * 100 + turn, 1 + turn as usize % 4, 1 + client as usize % 3);
                let answer = batcher.submit(request(number, rows, width), soon()).await.unwrap();
                assert_eq!(answer[0].shape.0.as_slice(), [rows, width]);
                assert_eq!(numbers(&answer), vec![number + 1; rows * width]);
            }
        });
    }
    while let Some(finished) = tasks.join_next().await {
        finished.unwrap();
    }
    assert_eq!(batcher.queue_rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_gets_its_own_rows_from_short_batches() {
    each_request_gets_its_own_rows(SHORT, Policies::adaptive(1, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_gets_its_own_rows_from_long_batches() {
    each_request_gets_its_own_rows(Duration::from_secs(1), Policies::adaptive(1, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_gets_its_own_rows_without_policies() {
    each_request_gets_its_own_rows(SHORT, Policies::STATIC).await;
}

#[tokio::test]
async fn requests_that_wait_together_run_together() {
    let executor = AddOne::default();
    let runs = Arc::clone(&executor.runs);
    let batcher = batcher(vec![executor], policy(), SHORT);
    let submits = (0..16).map(|number| {
        let batcher = batcher.clone();
        async move { batcher.submit(request(100 + number, 1, 2), soon()).await.unwrap() }
    });
    let answers: Vec<Answer> = submits.collect::<JoinSet<_>>().join_all().await;
    assert_eq!(answers.len(), 16);
    assert_eq!(runs.load(Ordering::Relaxed), 1, "sixteen rows fit one batch");
}

#[tokio::test]
async fn only_the_request_that_makes_the_model_fail_fails() {
    let batcher = batcher(vec![AddOne::default()], policy(), SHORT);
    let mut tasks = JoinSet::new();
    for number in 10..16 {
        let batcher = batcher.clone();
        tasks.spawn(async move { (number, batcher.submit(request(number, 1, 1), soon()).await) });
    }
    while let Some(finished) = tasks.join_next().await {
        let (number, answer) = finished.unwrap();
        match number {
            13 | 14 => assert_eq!(answer.unwrap_err().code, ErrorCode::Internal, "{number}"),
            _ => assert_eq!(numbers(&answer.unwrap()), [number + 1]),
        }
    }
}

#[tokio::test]
async fn an_output_without_rows_is_never_divided() {
    let batcher = batcher(vec![AddOne { sums: true, ..AddOne::default() }], policy(), SHORT);
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let batcher = batcher.clone();
        tasks.spawn(async move { (number, batcher.submit(request(number, 2, 1), soon()).await.unwrap()) });
    }
    while let Some(finished) = tasks.join_next().await {
        let (number, answer) = finished.unwrap();
        assert_eq!(numbers(&answer), [2 * (number + 1)], "its own sum, not the batch's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_clients_that_have_gone_leave_the_queue() {
    let executor = AddOne { busy: Duration::from_micros(200), ..AddOne::default() };
    let batcher = batcher(vec![executor], policy(), SHORT);
    for round in 0..200_u64 {
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let batcher = batcher.clone();
            tasks.spawn(async move {
                let patience = Duration::from_micros(round * 5 + number * 37);
                let submit = batcher.submit(request(number as i32, 1, 1), soon());
                let _gone = tokio::time::timeout(patience, submit).await;
            });
        }
        tasks.join_all().await;
    }
    let answer =
        tokio::time::timeout(Duration::from_secs(30), batcher.submit(request(1, 1, 1), soon())).await;
    assert_eq!(numbers(&answer.expect("somebody leads").unwrap()), [2]);
    assert_eq!(batcher.queue_rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_an_expired_request_gets_an_error() {
    let executor = AddOne { busy: Duration::from_millis(300), ..AddOne::default() };
    let policy = BatchPolicy { max_queue_rows: 2, max_joined_rows: 1, ..policy() };
    let batcher = batcher(vec![executor], policy, Duration::from_secs(1));
    let lead = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.submit(request(1, 1, 1), soon()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.submit(request(2, 2, 1), Instant::now() + Duration::from_millis(50)).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let refused = batcher.submit(request(3, 1, 1), soon()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert!(refused.message.contains("--max-queue-rows is 2"), "{refused}");
    assert_eq!(late.await.unwrap().unwrap_err().code, ErrorCode::DeadlineExceeded);
    assert_eq!(batcher.queue_rows(), 0, "the late request's place is free again");
    assert_eq!(numbers(&lead.await.unwrap().unwrap()), [2]);
}

/// A model that runs one batch for each message in `gate`, and records the first number of each batch in `order`.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) gate: Mutex<std::sync::mpsc::Receiver<()>>,
    pub(super) order: Arc<Mutex<Vec<i32>>>,
}

impl Executor for Gated {
    fn execute(&mut self, inputs: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
        self.gate.lock().unwrap().recv().map_err(ExecuteError::server)?;
        self.order.lock().unwrap().push(bytemuck::cast_slice(inputs[0].data)[0]);
        AddOne::default().execute(inputs, None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_requests_go_first_and_a_timeout_only_shortens() {
    let (open, gate) = std::sync::mpsc::channel();
    let order = Arc::new(Mutex::new(Vec::new()));
    let executor = Box::new(Gated { gate: Mutex::new(gate), order: Arc::clone(&order) });
    let policy = BatchPolicy { max_joined_rows: 1, ..policy() };
    let metrics = Metrics::new().unwrap().model("gated", "1");
    let batcher = Batcher::new(
        vec![Instance::new(executor)],
        None,
        policy,
        RunCost::of_rows(Duration::from_secs(1)),
        metrics,
    );
    let submit = |number: i32, priority: u64, timeout: u64, deadline: Instant| {
        let schedule =
            Schedule { priority: Priority::new(priority), timeout: Some(Duration::from_micros(timeout)) };
        let batcher = batcher.clone();
        tokio::spawn(async move {
            let answer = batcher.submit(ValidRequest { schedule, ..request(number, 1, 1) }, deadline).await;
            answer.map_err(|error| error.code)
        })
    };
    let mut tasks = Vec::new();
    for (arrival, (number, priority)) in
        [(100, 0), (101, 7), (102, 0), (103, 1), (104, 2), (105, 1)].into_iter().enumerate()
    {
        tasks.push(submit(number, priority, u64::MAX, soon()));
        // The first request leads, and the others wait.
        while batcher.shared.lanes.get(0).queue().free_instances() > 0 || batcher.waiting() < arrival {
            tokio::task::yield_now().await;
        }
    }
    let late = submit(106, 1, 1, soon());
    let later = submit(107, 1, u64::MAX, Instant::now());
    assert_eq!(late.await.unwrap(), Err(ErrorCode::DeadlineExceeded));
    assert_eq!(
        later.await.unwrap(),
        Err(ErrorCode::DeadlineExceeded),
        "a timeout does not extend the deadline"
    );
    for _ in &tasks {
        open.send(()).unwrap();
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [100, 103, 105, 102, 104, 101]);
}

/// A model that records the threads that run it.
pub(super) struct Located {
    pub(super) threads: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Executor for Located {
    fn execute(&mut self, inputs: &[BatchInput<'_>], _: Option<&Stop>) -> Result<Vec<Tensor>, ExecuteError> {
        self.threads.lock().unwrap().insert(thread::current().id());
        AddOne::default().execute(inputs, None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_a_thread_runs_on_that_thread_only() {
    let threads = [Arc::default(), Arc::default()];
    let instance = |threads: &Arc<_>| {
        let executor = Box::new(Located { threads: Arc::clone(threads) });
        Instance::on_thread(executor, InstanceThread::start().unwrap())
    };
    let instances = threads.iter().map(instance).collect();
    let time = RunCost::of_rows(SHORT);
    let batcher = Batcher::new(instances, None, policy(), time, Metrics::new().unwrap().model("add", "1"));
    let submits = (0..200).map(|number| {
        let batcher = batcher.clone();
        async move {
            assert_eq!(
                batcher.submit(request(100 + number, 1, 1), soon()).await.map(|answer| numbers(&answer)),
                Ok(vec![101 + number])
            );
            thread::current().id()
        }
    });
    let workers: HashSet<_> = submits.collect::<JoinSet<_>>().join_all().await.into_iter().collect();
    let [first, second] = threads.map(|threads| threads.lock().unwrap().clone());
    assert!(first.len() <= 1 && second.len() <= 1 && !(first.is_empty() && second.is_empty()));
    assert!(first.is_disjoint(&second) && workers.is_disjoint(&first) && workers.is_disjoint(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_larger_than_the_queue_waits_if_no_other_does() {
    let executor = AddOne { busy: Duration::from_millis(200), ..AddOne::default() };
    let policy = BatchPolicy { max_queue_rows: 2, max_joined_rows: 2, ..policy() };
    let batcher = batcher(vec![executor], policy, Duration::from_secs(1));
    let submit = |id, rows| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.submit(request(id, rows, 1), soon()).await })
    };
    let lead = submit(1, 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let large = submit(2, 5);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(batcher.queue_rows(), 5);
    let refused = submit(3, 1).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert!(lead.await.unwrap().is_ok());
    assert_eq!(numbers(&large.await.unwrap().unwrap()).len(), 5);
    assert_eq!(batcher.queue_rows(), 0);
}
