//! Long runs: on which thread they run, when they are stopped, and what happens to those that do not stop.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use oip::{Datatype, Tensor};
use smallvec::{SmallVec, smallvec};
use tokio::task::JoinSet;

use super::{
    tests::{AddOne, SHORT, numbers, policy, request, soon},
    *,
};
use crate::{
    executor::{BatchInput, ExecuteError, Executor, Fault, Stop},
    telemetry::Metrics,
};

/// Longer than the watch needs to notice that a client has gone, and shorter than the time that a run has to stop.
const MOMENT: Duration = Duration::from_millis(300);

/// Controls the runs of a [`Stubborn`] model, and counts them.
#[derive(Debug, Default)]
struct Orders {
    /// Whether runs stop when they are told to.
    obeys: bool,
    /// How many long runs may end now.
    may_end: AtomicUsize,
    stopped: AtomicUsize,
    runs: AtomicUsize,
    /// The thread of each run.
    threads: Mutex<Vec<ThreadId>>,
}

/// A model that adds one to each number. Numbers above 1000 take until `may_end` allows an end. A batch of several
/// requests fails if it has a negative number.
#[derive(Debug)]
struct Stubborn(Arc<Orders>);

impl Executor for Stubborn {
    fn execute(
        &mut self,
        inputs: &[BatchInput<'_>],
        stop: Option<&Stop>,
    ) -> Result<Vec<Tensor>, ExecuteError> {
        let orders = &self.0;
        orders.runs.fetch_add(1, Ordering::SeqCst);
        orders.threads.lock().unwrap().push(thread::current().id());
        let numbers: &[i32] = bytemuck::cast_slice(inputs[0].data);
        if numbers.len() > 1 && numbers.iter().any(|number| *number < 0) {
            return Err(ExecuteError { fault: Fault::Request, message: "a negative number".into() });
        }
        if numbers.iter().any(|number| number.abs() > 1000) {
            loop {
                if orders.obeys && stop.is_some_and(Stop::is_asked) {
                    orders.stopped.fetch_add(1, Ordering::SeqCst);
                    return Err(ExecuteError { fault: Fault::Stopped, message: "terminate".into() });
                }
                let next = |count: usize| count.checked_sub(1);
                if orders.may_end.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok() {
                    break;
                }
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        AddOne::default().execute(inputs, stop)
    }
}

/// Makes a batcher over instances of a model whose runs stop when they are told to, if it `obeys`.
fn stubborn(instances: usize, obeys: bool, depends_on: TimeDependsOn) -> (Batcher, Arc<Orders>) {
    let orders = Arc::new(Orders { obeys, ..Orders::default() });
    let instance = |orders: &Arc<Orders>| Instance::new(Box::new(Stubborn(Arc::clone(orders))));
    let all = (0..instances).map(|_| instance(&orders)).collect();
    let policy = BatchPolicy { time_depends_on: depends_on, ..policy() };
    let metrics = Metrics::new().unwrap().model("stubborn", "1");
    let another = Arc::clone(&orders);
    let batcher = Batcher::new(all, None, policy, RunCost::of_rows(SHORT), metrics)
        .with_replacement(Box::new(move || Ok(instance(&another))));
    (batcher, orders)
}

/// Sends a request that waits for `patience`.
async fn ask(batcher: &Batcher, number: i32, patience: Duration) -> Result<Vec<i32>, ErrorCode> {
    let answer = batcher.submit(request(number, 1, 1), Instant::now() + patience).await;
    answer.map(|answer| super::tests::numbers(&answer)).map_err(|error| error.code)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let gives_up = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < gives_up, "it never is");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_model_whose_time_depends_on_values_never_runs_on_a_worker() {
    let (batcher, orders) = stubborn(2, true, TimeDependsOn::Values);
    for number in 100..150 {
        assert_eq!(ask(&batcher, number, MOMENT * 100).await, Ok(vec![number + 1]));
    }
    let threads = orders.threads.lock().unwrap().clone();
    assert!(threads.iter().all(|thread| *thread != thread::current().id()));
    let different: std::collections::HashSet<_> = threads.into_iter().collect();
    assert!(different.len() <= 2, "a thread an instance, at most: {different:?}");
}

#[tokio::test]
async fn a_size_runs_on_another_thread_until_it_is_known_to_be_short() {
    let (batcher, orders) = stubborn(1, true, TimeDependsOn::Sizes);
    let here = thread::current().id();
    for (width, elsewhere) in [(8, true), (8, false), (1000, true), (1000, false), (8, false)] {
        let answer = batcher.submit(request(1, 1, width), soon()).await.unwrap();
        assert_eq!(numbers(&answer), vec![2; width]);
        let last = *orders.threads.lock().unwrap().last().unwrap();
        assert_eq!(last != here, elsewhere, "{width}");
    }
}

#[tokio::test]
async fn a_run_stops_when_its_last_client_goes_and_not_before() {
    let (batcher, orders) = stubborn(1, true, TimeDependsOn::Values);
    let mut members = JoinSet::new();
    for (number, patience) in [(2000, MOMENT), (2001, 3 * MOMENT)] {
        let batcher = batcher.clone();
        members.spawn(async move { (number, ask(&batcher, number, patience).await) });
    }
    assert_eq!(members.join_next().await.unwrap().unwrap(), (2000, Err(ErrorCode::DeadlineExceeded)));
    tokio::time::sleep(MOMENT).await;
    assert_eq!(orders.stopped.load(Ordering::SeqCst), 0, "the other still waits");
    assert_eq!(members.join_next().await.unwrap().unwrap(), (2001, Err(ErrorCode::DeadlineExceeded)));
    until(|| orders.stopped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(orders.runs.load(Ordering::SeqCst), 1, "what was stopped is not run again");
    assert_eq!(ask(&batcher, 1, MOMENT * 100).await, Ok(vec![2]), "its instance is free");
    assert_eq!(batcher.shared.metrics.runs.stopped.get(), 1);
}

#[tokio::test]
async fn a_member_that_waits_longer_than_the_others_is_answered() {
    let (batcher, orders) = stubborn(1, true, TimeDependsOn::Values);
    let mut members = JoinSet::new();
    for (number, patience) in [(2000, MOMENT), (2001, MOMENT * 100)] {
        let batcher = batcher.clone();
        members.spawn(async move { (number, ask(&batcher, number, patience).await) });
    }
    assert_eq!(members.join_next().await.unwrap().unwrap(), (2000, Err(ErrorCode::DeadlineExceeded)));
    orders.may_end.store(1, Ordering::SeqCst);
    assert_eq!(members.join_next().await.unwrap().unwrap(), (2001, Ok(vec![2002])));
}

#[tokio::test]
async fn a_member_that_runs_alone_after_a_failure_is_stopped_when_its_own_client_goes() {
    let (batcher, orders) = stubborn(1, true, TimeDependsOn::Values);
    let mut members = JoinSet::new();
    for (number, patience) in [(-2000, MOMENT), (5, MOMENT * 100)] {
        let batcher = batcher.clone();
        members.spawn(async move { (number, ask(&batcher, number, patience).await) });
    }
    let mut answers = members.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    assert_eq!(answers, [(-2000, Err(ErrorCode::DeadlineExceeded)), (5, Ok(vec![6]))]);
    assert_eq!(orders.stopped.load(Ordering::SeqCst), 1);
    assert_eq!(orders.runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn unstopped_instances_are_replaced_until_there_are_too_many() {
    let (batcher, orders) = stubborn(2, false, TimeDependsOn::Values);
    let metrics = Arc::clone(&batcher.shared.metrics);
    for unstopped in 1..=tuning::MAX_UNSTOPPED_RUNS {
        assert_eq!(batcher.stuck(), None);
        assert_eq!(ask(&batcher, 1, MOMENT * 100).await, Ok(vec![2]), "one is free");
        assert_eq!(ask(&batcher, 2000, MOMENT).await, Err(ErrorCode::DeadlineExceeded));
        until(|| metrics.runs.unstopped.get() == unstopped as i64).await;
        let idle = || batcher.shared.lanes.get(0).queue().free_instances();
        let left = if unstopped < tuning::MAX_UNSTOPPED_RUNS { 2 } else { 1 };
        until(|| idle() == left).await;
    }
    assert_eq!(batcher.stuck(), Some(tuning::MAX_UNSTOPPED_RUNS));
    orders.may_end.store(1, Ordering::SeqCst);
    until(|| batcher.stuck().is_none()).await;
    orders.may_end.store(tuning::MAX_UNSTOPPED_RUNS, Ordering::SeqCst);
    until(|| metrics.runs.unstopped.get() == 0).await;
    until(|| batcher.shared.lanes.get(0).queue().free_instances() == 2).await;
    assert_eq!(metrics.runs.not_stopped.get(), tuning::MAX_UNSTOPPED_RUNS as u64);
    assert_eq!(ask(&batcher, 1, MOMENT * 100).await, Ok(vec![2]));
}

/// Returns the size class of a batch of one request with this shape.
fn size_class_of(shape: &[usize]) -> run_estimate::SizeClass {
    let elements: usize = shape.iter().product();
    let tensor =
        Tensor { datatype: Datatype::Int32, shape: shape.into(), data: vec![0; 4 * elements].into() };
    let request = Request {
        inputs: smallvec![tensor],
        optional: SmallVec::new(),
        arrived: Instant::now(),
        deadline: soon(),
    };
    run::size_class_of(&[Entry {
        rows: 1,
        group: None,
        payload: Waiting { request, turn: oneshot::channel().0 },
    }])
}

#[test]
fn inputs_without_elements_differ_in_size_by_their_first_dimension_too() {
    assert_eq!(size_class_of(&[2, 3]), size_class_of(&[2, 3]));
    assert_ne!(size_class_of(&[2, 3]), size_class_of(&[200, 3]));
    assert_ne!(size_class_of(&[1, 0]), size_class_of(&[60_000_000, 0]));
}
