//! Dynamic batching: rows of waiting requests join one run of the model.
//!
//! There is no batching thread and no timer. A request that finds an instance free takes it and *leads*:
//! it yields once, so that every connection with bytes ready can decode and join (unless requests have come
//! one by one for a while), then runs what waits where it stands. A request that finds none waits in the
//! queue; a leader that is done appoints the first of those who wait. With one connection nothing ever
//! waits; with many, batches grow by themselves while the instances are busy.

mod company;
pub mod gather;
mod instance;
mod lease;
mod pace;
pub mod queue;
pub mod scatter;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oip::Tensor;
use smallvec::SmallVec;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use company::Company;
pub use instance::Instance;
use lease::Lease;
use pace::Pace;
use queue::{Admission, BatchQueue, Entry, Ticket};

use crate::{
    error::{ErrorCode, ServeError},
    schedule::Priority,
    telemetry::{BatchRun, BatchTimes, ModelMetrics},
    validate::ValidRequest,
};

/// How batches of one model are formed.
#[derive(Clone, Debug)]
pub struct BatchPolicy {
    /// Most rows that joining may bring a batch to. A request with more runs alone; 0 or 1: none is joined.
    pub max_joined_rows: usize,
    /// Most rows that may wait.
    pub max_queue_rows: usize,
    /// How long a leader waits for others while its batch is small.
    pub max_queue_delay: Duration,
    /// Sizes at which a batch goes before that delay is over.
    pub preferred_batch_size: Vec<usize>,
}

/// The outputs of one request, in the signature's order.
pub type Answer = Vec<Tensor>;

/// A request on its way through the batcher.
#[derive(Debug)]
struct Work {
    inputs: SmallVec<[Tensor; 2]>,
    arrived: Instant,
    deadline: Instant,
}

/// A request in the queue, with the way back to the task that brought it.
#[derive(Debug)]
struct Waiting {
    work: Work,
    turn: oneshot::Sender<Turn>,
}

/// What a waiting task is told: its answer, or that it is its turn to lead.
#[derive(Debug)]
enum Turn {
    Answer(Result<Answer, ServeError>),
    Lead(Box<(Lease, Entry<Work>)>),
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<BatchQueue<Waiting, Box<Instance>>>,
    policy: BatchPolicy,
    /// Told of every arrival while leaders may be waiting for more rows.
    arrivals: Notify,
    company: Company,
    pace: Pace,
    metrics: Arc<ModelMetrics>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, BatchQueue<Waiting, Box<Instance>>> {
        // No code that can panic runs under the lock, and the queue has no state that a panic could halve.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run of these requests that succeeded, and learns from it.
    fn ran(&self, entries: &[Entry<Waiting>], started: Instant, times: BatchTimes) {
        let rows = entries.iter().map(|entry| entry.rows).sum();
        let queued = entries.iter().map(|entry| started - entry.payload.work.arrived).sum();
        self.pace.learn(rows, times.total());
        self.metrics.batch_rows.observe(rows as f64);
        self.metrics.compute_duration.observe(times.total().as_secs_f64());
        let requests = entries.len();
        self.metrics.statistics.ran(&BatchRun { started: started.into_std(), requests, rows, queued, times });
    }
}

/// The batcher of one model version.
#[derive(Clone, Debug)]
pub struct Batcher {
    shared: Arc<Shared>,
}

impl Batcher {
    /// A batcher over `instances`; `row_duration` is what a row took at warm-up.
    pub fn new(
        instances: Vec<Instance>,
        policy: BatchPolicy,
        row_duration: Duration,
        metrics: Arc<ModelMetrics>,
    ) -> Self {
        let queue = BatchQueue::new(instances.into_iter().map(Box::new).collect(), policy.max_queue_rows);
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                policy,
                arrivals: Notify::new(),
                company: Company::default(),
                pace: Pace::new(row_duration),
                metrics,
            }),
        }
    }

    /// Runs a request, joined with others where that is possible, and gives its outputs.
    ///
    /// Dropping the future takes the request out of the queue; a batch that already runs goes on for the
    /// others.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`]: the queue is full. [`ErrorCode::DeadlineExceeded`]: no answer by
    /// `deadline`, or within the request's own timeout. [`ErrorCode::Internal`]: ONNX Runtime failed on this very request.
    pub async fn submit(&self, request: ValidRequest, deadline: Instant) -> Result<Answer, ServeError> {
        let ValidRequest { inputs, rows, group, schedule } = request;
        let (sender, mut turn) = oneshot::channel();
        let arrived = Instant::now();
        let own_deadline = schedule.timeout.and_then(|timeout| arrived.checked_add(timeout));
        let deadline = own_deadline.map_or(deadline, |own| own.min(deadline));
        let work = Work { inputs, arrived, deadline };
        let entry = Entry { rows, group, payload: Waiting { work, turn: sender } };
        let mut place = Place { shared: &self.shared, ticket: None };
        match self.admit(entry, schedule.priority) {
            Admission::Lead(instance, entry) => Lease::new(&self.shared, instance).lead(entry).await,
            Admission::Wait(ticket) => place.ticket = Some(ticket),
            Admission::Full(_) => return Err(self.overloaded(rows)),
        }
        loop {
            match timeout_at(deadline, &mut turn).await {
                Ok(Ok(Turn::Answer(answer))) => return answer,
                Ok(Ok(Turn::Lead(appointment))) => {
                    let (lease, entry) = *appointment;
                    place.ticket = None;
                    let (sender, next_turn) = oneshot::channel();
                    turn = next_turn;
                    let Entry { rows, group, payload: work } = entry;
                    lease.lead(Entry { rows, group, payload: Waiting { work, turn: sender } }).await;
                }
                Ok(Err(_)) => return Err(ServeError::internal("the batch was lost")),
                Err(_) => return Err(expired()),
            }
        }
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.queue().len()
    }

    /// Rows that wait now.
    pub fn queue_rows(&self) -> usize {
        self.shared.queue().rows()
    }

    fn admit(&self, entry: Entry<Waiting>, priority: Priority) -> Admission<Waiting, Box<Instance>> {
        let mut queue = self.shared.queue();
        let admission = queue.admit(entry, priority);
        if matches!(admission, Admission::Wait(_)) {
            self.shared.metrics.queue_rows.set(queue.rows() as i64);
            drop(queue);
            self.shared.company.waits();
            if !self.shared.policy.max_queue_delay.is_zero() {
                self.shared.arrivals.notify_waiters();
            }
        }
        admission
    }

    fn overloaded(&self, rows: usize) -> ServeError {
        let most = self.shared.policy.max_queue_rows;
        ServeError::new(
            ErrorCode::Overloaded,
            format!("the queue is full: no room for {rows} rows (--max-queue-rows is {most})"),
        )
    }
}

fn expired() -> ServeError {
    ServeError::new(ErrorCode::DeadlineExceeded, "the request's time ran out before it was answered")
}

/// A request's place in the queue, given up when its task goes away.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut queue = self.shared.queue();
            let withdrawn = queue.withdraw(ticket);
            if withdrawn.is_some() {
                self.shared.metrics.queue_rows.set(queue.rows() as i64);
            }
            drop(queue);
            drop(withdrawn); // tensors are freed outside the lock
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
