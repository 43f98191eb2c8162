//! Dynamic batching: requests that wait at the same time share one run of the model.
//!
//! No separate thread forms batches. A request that finds an instance free takes it and *leads*: it waits briefly for
//! more rows, forms a batch of itself and of waiting requests, and runs it. A request that finds no instance free
//! waits in a queue. When a batch ends, its instance goes to the first request in the queue, which leads the next
//! batch. So many connections form large batches while the instances are busy, and a single connection hardly waits:
//! probing stops when it has brought no request lately.
//!
//! | question | file |
//! |---|---|
//! | How does a request get through the batcher? | this one: [`Batcher::submit`] |
//! | What does the batcher keep of a request? | `request` |
//! | Who waits, who goes first, who is refused? | `queue` |
//! | Which queue and which instances serve a worker? | `lane` |
//! | Who holds an instance, and who gets it next? What does a waiting task receive? | `lease` |
//! | Which requests form a batch, and which idle workers help? | `leader` |
//! | Why does a batch wait for more rows, and how long? | `wait` |
//! | Which number does a policy use, and why that number? | `tuning` |
//! | On which thread does a batch run, and what does each of its requests receive? | `run` |
//! | How long will a run take, and is it short enough for a worker's thread? | `run_estimate` |
//! | What is an instance? | `instance` |
//! | On which thread does an instance run long batches, and all batches on a GPU? | `thread` |
//! | How does a client that is alone use all cores? | `idle_session` |
//! | How are rows joined into a batch, and outputs divided? | [`gather`], [`scatter`] |
//! | Who stops a run that no client waits for any more? | `watch` |

pub mod gather;
mod idle_session;
mod instance;
mod lane;
mod leader;
mod lease;
pub mod queue;
mod request;
mod run;
mod run_estimate;
pub mod scatter;
mod thread;
mod tuning;
mod wait;
mod watch;

use std::sync::{Arc, OnceLock};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use self::{
    idle_session::IdleSession,
    lane::{LaneInstance, Lanes},
    leader::FormingBatch,
    lease::{Appointment, Lease, Shared, Turn, UnstoppedRuns, Waiting},
    queue::{Admission, Entry, RowBudget, Ticket},
    request::{Request, deadline_exceeded},
    run_estimate::RunEstimate,
    wait::returning_clients::ReturningClients,
};
pub use self::{
    instance::{Instance, Replacement},
    lease::BatchPolicy,
    request::Answer,
    run_estimate::TimeDependsOn,
    thread::InstanceThread,
    tuning::Policies,
};
use crate::{
    error::{ErrorCode, ServeError},
    executor::RunCost,
    request::{schedule::Priority, validate::ValidRequest},
    telemetry::ModelMetrics,
};

/// The batcher of one model version.
#[derive(Clone, Debug)]
pub struct Batcher {
    shared: Arc<Shared>,
}

impl Batcher {
    /// Makes a batcher over `instances`. `idle_session` is one more instance, for a client that is alone. `cost` is
    /// what runs took at warm-up.
    pub fn new(
        instances: Vec<Instance>,
        idle_session: Option<Instance>,
        policy: BatchPolicy,
        cost: RunCost,
        metrics: Arc<ModelMetrics>,
    ) -> Self {
        let budget = Arc::new(RowBudget::new(policy.max_queue_rows));
        let policies = policy.policies;
        let estimate = if policies.run_estimate {
            RunEstimate::new(cost.first_row, policy.time_depends_on)
        } else {
            RunEstimate::without_evidence(cost.first_row)
        };
        let shared = Shared {
            lanes: Lanes::new(instances, policies, &budget),
            budget,
            estimate,
            policy,
            returning_clients: policies.returning_clients.then(|| ReturningClients::new(cost)),
            idle_session: idle_session.map(IdleSession::new),
            unstopped: UnstoppedRuns::default(),
            replacement: OnceLock::new(),
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets what loads an instance in place of one whose run does not stop. A second call has no effect.
    #[must_use]
    pub fn with_replacement(self, replacement: Replacement) -> Self {
        let _is_set = self.shared.replacement.set(replacement);
        self
    }

    /// Returns how many runs do not stop, if they are too many for the model to be ready.
    pub fn stuck(&self) -> Option<usize> {
        let count = self.shared.unstopped.count();
        (count >= tuning::MAX_UNSTOPPED_RUNS).then_some(count)
    }

    /// Runs a request, in one batch with others where the model allows that, and returns its outputs.
    ///
    /// Dropping the future takes the request out of the queue. A batch that already runs continues for its other
    /// requests, and is stopped if it has none.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`]: the queue is full. [`ErrorCode::DeadlineExceeded`]: there was no answer by
    /// `deadline`, or within the request's own timeout. [`ErrorCode::InvalidArgument`]: the model cannot compute with
    /// the request's values or sizes. [`ErrorCode::Internal`]: ONNX Runtime failed on this request.
    pub async fn submit(&self, request: ValidRequest, deadline: Instant) -> Result<Answer, ServeError> {
        let ValidRequest { inputs, optional, rows, group, schedule } = request;
        let (sender, mut turn) = oneshot::channel();
        let arrived = Instant::now();
        let own_deadline = schedule.timeout.and_then(|timeout| arrived.checked_add(timeout));
        let deadline = own_deadline.map_or(deadline, |own| own.min(deadline));
        let request = Request { inputs, optional, arrived, deadline };
        let entry = Entry { rows, group, payload: Waiting { request, turn: sender } };
        let lane_index = self.shared.lanes.index_of_current_worker();
        let mut guard = QueueGuard { shared: &self.shared, lane_index, ticket: None };
        let mut batch = match self.admit(lane_index, entry, schedule.priority) {
            Admission::Lead(lease, entry) => Some(FormingBatch::new(lease, entry)),
            Admission::Wait(ticket) => {
                guard.ticket = Some(ticket);
                None
            }
            Admission::Full(_) => return Err(self.overloaded(rows)),
        };
        loop {
            // Borrowed while it waits. Moving the batch into that call would make every future larger by a second
            // batch.
            if let Some(batch) = &batch {
                batch.wait_for_more_rows().await;
            }
            if let Some(batch) = batch.take() {
                batch.run();
            }
            match timeout_at(deadline, &mut turn).await {
                Ok(Ok(Turn::Answer(answer))) => return answer,
                Ok(Ok(Turn::Lead(appointment))) => {
                    let Appointment { lease, entry } = *appointment;
                    guard.ticket = None;
                    let (sender, next_turn) = oneshot::channel();
                    turn = next_turn;
                    let Entry { rows, group, payload: request } = entry;
                    let own = Entry { rows, group, payload: Waiting { request, turn: sender } };
                    batch = Some(FormingBatch::new(lease, own));
                }
                Ok(Err(_)) => return Err(ServeError::internal("the batch was lost")),
                Err(_) => return Err(deadline_exceeded()),
            }
        }
    }

    /// Returns the number of requests that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lanes.waiting()
    }

    /// Returns the number of rows that wait now.
    pub fn queue_rows(&self) -> usize {
        self.shared.budget.reserved()
    }

    /// Admits a request to a lane. If the instances of that lane are busy for long, the request leads with an
    /// instance of another lane.
    fn admit(
        &self,
        lane_index: usize,
        entry: Entry<Waiting>,
        priority: Priority,
    ) -> Admission<Waiting, Lease> {
        let lane = self.shared.lanes.get(lane_index);
        let mut queue = lane.queue();
        if queue.is_unattended() {
            // Unlocked first: no lock is held while another is taken.
            drop(queue);
            if let Some(borrowed) = self.shared.lanes.borrow(lane_index) {
                lane.queue().begin_forming();
                return Admission::Lead(Lease::of_leader(&self.shared, borrowed, lane_index), entry);
            }
            queue = lane.queue();
        }
        match queue.admit(entry, priority) {
            Admission::Lead(instance, entry) => {
                let instance = LaneInstance { instance, lane_index };
                Admission::Lead(Lease::of_leader(&self.shared, instance, lane_index), entry)
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

/// Takes a waiting request out of the queue when its task ends before its turn.
struct QueueGuard<'a> {
    shared: &'a Shared,
    lane_index: usize,
    /// Set while the request waits.
    ticket: Option<Ticket>,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let withdrawn = self.shared.lanes.get(self.lane_index).queue().withdraw(ticket);
            drop(withdrawn); // its tensors are freed after the lock is released
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
#[path = "static_tests.rs"]
mod static_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
