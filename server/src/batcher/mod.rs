//! Dynamic batching: rows of waiting requests join one run of the model.
//!
//! There is no batching thread and no timer. A request that finds an instance free takes it and *leads*:
//! it yields, so that every connection with bytes ready can decode and join (unless that has lately brought
//! too few), then runs what waits where it stands. A request that finds none waits in the queue; a leader
//! that is done appoints the first of those who wait. With one connection nothing ever waits; with many,
//! batches grow by themselves while the instances are busy. Where one instance runs long rows on all cores, it waits a
//! little for those who were just answered (`returning_clients`). A request that is alone may have more cores than that (`idle_session`).
//!
//! Each worker has a queue and instances of its own (`lane`), and others help it out only when they have nothing
//! to do: what a request touches stays with its core. On a GPU all share one queue, and each instance has a thread of its
//! own (`thread`).

pub mod gather;
mod idle_session;
mod instance;
mod lane;
mod leader;
pub mod queue;
mod run;
mod run_estimate;
pub mod scatter;
mod thread;
mod wait;
mod watch;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use oip::Tensor;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use gather::RequestInputs;
use idle_session::IdleSession;
pub use instance::Instance;
use lane::Lanes;
use leader::Lease;
use queue::{Admission, Entry, RowBudget, Ticket};
use run_estimate::RunEstimate;
pub use run_estimate::TimeDependsOn;
pub use thread::InstanceThread;
use wait::returning_clients::ReturningClients;
pub use watch::Replacement;
use watch::Unstopped;

use crate::{
    error::{ErrorCode, ServeError},
    executor::{ExecuteError, Fault, RunCost},
    schedule::Priority,
    telemetry::{BatchRun, BatchTimes, ModelMetrics},
    validate::{Inputs, Optional, ValidRequest},
};

/// Requests whose rows take so long are served in order of arrival by whichever instance is free first: what
/// cores lose by passing them on is nothing beside that.
const LONG_ROW: Duration = Duration::from_millis(1);

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
    /// What the time of a run depends on, which tells what must be known of a batch to call it short.
    pub time_depends_on: TimeDependsOn,
}

/// The outputs of one request, in the signature's order.
pub type Answer = Vec<Tensor>;

/// A request on its way through the batcher.
#[derive(Debug)]
struct Work {
    inputs: Inputs,
    /// Positions of the optional inputs, which are the last.
    optional: Optional,
    arrived: Instant,
    deadline: Instant,
}

impl Work {
    fn inputs(&self) -> RequestInputs<'_> {
        RequestInputs { tensors: &self.inputs, optional: &self.optional }
    }
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

struct Shared {
    lanes: Lanes,
    room: Arc<RowBudget>,
    policy: BatchPolicy,
    run_estimate: RunEstimate,
    /// Where a single instance runs long rows on all cores.
    returning_clients: Option<ReturningClients>,
    /// Where one more instance is there for requests that are alone.
    idle_session: Option<IdleSession>,
    unstopped: Unstopped,
    /// Loads another instance in the place of one that does not stop.
    replacement: OnceLock<Replacement>,
    metrics: Arc<ModelMetrics>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl Shared {
    /// Counts a run of these requests that succeeded, and learns from it.
    fn ran(&self, entries: &[Entry<Waiting>], started: Instant, times: BatchTimes) {
        let rows = run::rows_of(entries);
        let queued = entries.iter().map(|entry| started - entry.payload.work.arrived).sum();
        self.run_estimate.learn(rows, || run::size_of(entries), times.total());
        if let Some(returning_clients) = &self.returning_clients {
            returning_clients.remember(entries.len() + self.lanes.waiting());
        }
        self.metrics.batch_rows.observe(rows as f64);
        self.metrics.compute_duration.observe(times.total().as_secs_f64());
        let requests = entries.len();
        self.metrics.statistics.ran(&BatchRun { started: started.into_std(), requests, rows, queued, times });
    }

    /// Learns from a run of these requests that did not succeed, and counts it where it was stopped.
    fn failed(&self, entries: &[Entry<Waiting>], started: Instant, error: &ExecuteError) {
        if error.fault == Fault::Stopped {
            self.metrics.runs.stopped.inc();
            self.run_estimate.learn(run::rows_of(entries), || run::size_of(entries), started.elapsed());
        }
    }
}

/// The batcher of one model version.
#[derive(Clone, Debug)]
pub struct Batcher {
    shared: Arc<Shared>,
}

impl Batcher {
    /// A batcher over `instances`, and one for requests that are alone, if there is one, for requests that come from
    /// `workers` threads; `time` is what runs took at warm-up.
    pub fn new(
        instances: Vec<Instance>,
        idle_session: Option<Instance>,
        workers: usize,
        policy: BatchPolicy,
        time: RunCost,
        metrics: Arc<ModelMetrics>,
    ) -> Self {
        let room = Arc::new(RowBudget::new(policy.max_queue_rows));
        let is_long = time.first_row >= LONG_ROW;
        let has_all_cores = instances.len() == 1 && workers > 1;
        let returning_clients = has_all_cores.then(|| ReturningClients::of(time)).flatten();
        // To pass a request on costs nothing beside a run on another thread, and a GPU wants large batches.
        let is_apart = instances.iter().any(|instance| instance.thread().is_some());
        let lanes = Lanes::new(instances, if is_long || is_apart { 1 } else { workers }, &room);
        let run_estimate = RunEstimate::new(time.first_row, policy.time_depends_on);
        let idle_session = idle_session.map(IdleSession::new);
        let (unstopped, replacement) = (Unstopped::default(), OnceLock::new());
        let shared = Shared {
            lanes,
            room,
            policy,
            run_estimate,
            returning_clients,
            idle_session,
            unstopped,
            replacement,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// With what loads another instance in the place of one whose run does not stop.
    #[must_use]
    pub fn with_replacement(self, replacement: Replacement) -> Self {
        let _there_is_one = self.shared.replacement.set(replacement);
        self
    }

    /// How many runs do not stop, where they are too many to go on.
    pub fn stuck(&self) -> Option<usize> {
        let count = self.shared.unstopped.count();
        (count >= watch::MOST_UNSTOPPED).then_some(count)
    }

    /// Runs a request, joined with others where that is possible, and gives its outputs.
    ///
    /// Dropping the future takes the request out of the queue; a batch that already runs goes on for the
    /// others, and is stopped if there are none.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`]: the queue is full. [`ErrorCode::DeadlineExceeded`]: no answer by
    /// `deadline`, or within the request's own timeout. [`ErrorCode::InvalidArgument`]: the model cannot compute with its
    /// values or sizes. [`ErrorCode::Internal`]: ONNX Runtime failed on this very request.
    pub async fn submit(&self, request: ValidRequest, deadline: Instant) -> Result<Answer, ServeError> {
        let ValidRequest { inputs, optional, rows, group, schedule } = request;
        let (sender, mut turn) = oneshot::channel();
        let arrived = Instant::now();
        let own_deadline = schedule.timeout.and_then(|timeout| arrived.checked_add(timeout));
        let deadline = own_deadline.map_or(deadline, |own| own.min(deadline));
        let work = Work { inputs, optional, arrived, deadline };
        let entry = Entry { rows, group, payload: Waiting { work, turn: sender } };
        let home = self.shared.lanes.home();
        let mut place = QueueGuard { shared: &self.shared, lane: home, ticket: None };
        let mut leader = match self.admit(home, entry, schedule.priority) {
            Admission::Lead(lease, entry) => Some((lease, entry)),
            Admission::Wait(ticket) => {
                place.ticket = Some(ticket);
                None
            }
            Admission::Full(_) => return Err(self.overloaded(rows)),
        };
        loop {
            // Lent, not given: the future of a request would have room for both twice.
            if let Some((lease, entry)) = &leader {
                lease.wait_for_others(home, entry).await;
            }
            if let Some((lease, entry)) = leader.take() {
                lease.lead(home, entry);
            }
            match timeout_at(deadline, &mut turn).await {
                Ok(Ok(Turn::Answer(answer))) => return answer,
                Ok(Ok(Turn::Lead(appointment))) => {
                    let (lease, entry) = *appointment;
                    place.ticket = None;
                    let (sender, next_turn) = oneshot::channel();
                    turn = next_turn;
                    let Entry { rows, group, payload: work } = entry;
                    leader = Some((lease, Entry { rows, group, payload: Waiting { work, turn: sender } }));
                }
                Ok(Err(_)) => return Err(ServeError::internal("the batch was lost")),
                Err(_) => return Err(expired()),
            }
        }
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lanes.waiting()
    }

    /// Rows that wait now.
    pub fn queue_rows(&self) -> usize {
        self.shared.room.rows()
    }

    fn admit(&self, home: usize, entry: Entry<Waiting>, priority: Priority) -> Admission<Waiting, Lease> {
        let lane = self.shared.lanes.get(home);
        let mut queue = lane.queue();
        if queue.is_unattended() {
            // Its instances are busy for long. No lock is held while another is taken.
            drop(queue);
            if let Some((owner, instance)) = self.shared.lanes.borrow(home) {
                lane.queue().lead();
                return Admission::Lead(Lease::new(&self.shared, owner, instance, home), entry);
            }
            queue = lane.queue();
        }
        match queue.admit(entry, priority) {
            Admission::Lead(instance, entry) => {
                Admission::Lead(Lease::new(&self.shared, home, instance, home), entry)
            }
            Admission::Wait(ticket) => {
                drop(queue);
                if !self.shared.policy.max_queue_delay.is_zero() {
                    lane.arrivals.notify_waiters();
                }
                Admission::Wait(ticket)
            }
            Admission::Full(entry) => Admission::Full(entry),
        }
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
struct QueueGuard<'a> {
    shared: &'a Shared,
    lane: usize,
    ticket: Option<Ticket>,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let withdrawn = self.shared.lanes.get(self.lane).queue().withdraw(ticket);
            drop(withdrawn); // tensors are freed outside the lock
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod lane_tests;
#[cfg(test)]
#[path = "run_tests.rs"]
mod run_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
