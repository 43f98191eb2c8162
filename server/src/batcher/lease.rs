//! The right to an instance, and how it passes from one request to the next.
//!
//! A [`Lease`] holds an instance and the model's [`Shared`] state. That state holds the queues of [`Waiting`]
//! requests. Each of those has a channel to its task, and through it the task may receive the next [`Lease`]. These
//! types refer to each other in a circle, so they share this file.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    idle_session::IdleSession,
    instance::{Instance, Replacement},
    lane::{Lane, LaneInstance, Lanes},
    queue::{Entry, Handover, RowBudget},
    request::{Answer, Request},
    run_estimate::{RunEstimate, TimeDependsOn},
    tuning::Policies,
    wait::returning_clients::ReturningClients,
};
use crate::{error::ServeError, telemetry::ModelMetrics};

/// How batches of one model are formed.
#[derive(Clone, Debug)]
pub struct BatchPolicy {
    /// Most rows of a batch of several requests. A request with more rows runs alone. With 0 or 1, every request runs
    /// alone.
    pub max_joined_rows: usize,
    /// Most rows that may wait in all queues of the model.
    pub max_queue_rows: usize,
    /// How long a leader waits for more rows, counted from its own arrival.
    pub max_queue_delay: Duration,
    /// Batch sizes, in rows. A leader stops waiting at the smallest, and its batch gets at most the largest that the
    /// waiting rows fill. Empty: any size up to `max_joined_rows`.
    pub preferred_batch_size: Vec<usize>,
    /// What the time of a run depends on. It decides what must be known about a batch to call it short.
    pub time_depends_on: TimeDependsOn,
    /// Which adaptive policies act.
    pub policies: Policies,
}

/// A request in the queue, with the channel to its task.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    /// Closed once the client has gone.
    pub(super) turn: oneshot::Sender<Turn>,
}

/// What a waiting task receives.
#[derive(Debug)]
pub(super) enum Turn {
    /// Its outputs, or why there are none.
    Answer(Result<Answer, ServeError>),
    /// An instance: the task leads the next batch. Boxed, since an answer is much smaller.
    Lead(Box<Appointment>),
}

/// An instance for a waiting request, and the request itself, which has left the queue.
#[derive(Debug)]
pub(super) struct Appointment {
    pub(super) lease: Lease,
    pub(super) entry: Entry<Request>,
}

/// The state that all requests of one model version share.
pub(super) struct Shared {
    pub(super) lanes: Lanes<Waiting>,
    /// Limits the rows that wait in all lanes.
    pub(super) budget: Arc<RowBudget>,
    pub(super) policy: BatchPolicy,
    /// How long runs take.
    pub(super) estimate: RunEstimate,
    /// Present where leaders wait for the clients of the previous batch.
    pub(super) returning_clients: Option<ReturningClients>,
    /// Present where the model has one more session, for a client that is alone.
    pub(super) idle_session: Option<IdleSession>,
    pub(super) unstopped: UnstoppedRuns,
    /// Loads an instance in place of one whose run does not stop.
    pub(super) replacement: OnceLock<Replacement>,
    pub(super) metrics: Arc<ModelMetrics>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

/// Counts the runs of one model that go on although they were told to stop.
#[derive(Debug, Default)]
pub(super) struct UnstoppedRuns {
    /// All of them.
    pub(super) running: AtomicUsize,
    /// Those whose instance has been replaced, or is being replaced.
    pub(super) replaced: AtomicUsize,
}

impl UnstoppedRuns {
    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// The right to run batches on an instance. Dropping it passes the instance to the first request in the queue of the
/// instance's lane, or marks the instance as free if none waits. This happens however the lease ends: after an
/// answer, after a panic, or because the client went away.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) shared: Arc<Shared>,
    /// Taken out only where the instance has been replaced.
    pub(super) instance: Option<Box<Instance>>,
    /// Index of the lane to which the instance returns.
    pub(super) instance_lane: usize,
    /// Index of the lane whose requests may join the batch.
    batch_lane: usize,
    /// Whether the queue of the batch's lane counts a leader that has not formed its batch yet.
    is_forming: bool,
}

impl Lease {
    /// Makes a lease for a leader. The queue of `batch_lane`, from which the leader comes, already counts it.
    pub(super) fn of_leader(shared: &Arc<Shared>, instance: LaneInstance, batch_lane: usize) -> Self {
        let mut lease = Self::of_instance(shared, instance);
        (lease.batch_lane, lease.is_forming) = (batch_lane, true);
        lease
    }

    /// Makes a lease that no queue counts as a leader: for a helper that gets a finished batch, or for a new
    /// instance.
    pub(super) fn of_instance(
        shared: &Arc<Shared>,
        LaneInstance { instance, lane_index }: LaneInstance,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            instance: Some(instance),
            instance_lane: lane_index,
            batch_lane: lane_index,
            is_forming: false,
        }
    }

    /// Returns the index of the lane whose requests may join the batch.
    pub(super) fn batch_lane_index(&self) -> usize {
        self.batch_lane
    }

    /// Returns the lane whose requests may join the batch.
    pub(super) fn batch_lane(&self) -> &Lane<Waiting> {
        self.shared.lanes.get(self.batch_lane)
    }

    /// Forms a batch of the leader's `own` request and of those that wait, with at most `max_rows` rows if it joins
    /// any.
    pub(super) fn form_batch(&mut self, own: Entry<Waiting>, max_rows: usize) -> Vec<Entry<Waiting>> {
        let mut queue = self.shared.lanes.get(self.batch_lane).queue();
        let joined = queue.join(own.group.as_ref(), max_rows.saturating_sub(own.rows));
        queue.end_forming();
        self.is_forming = false;
        drop(queue);
        let mut batch = Vec::with_capacity(1 + joined.len());
        batch.push(own);
        batch.extend(joined);
        batch
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_forming {
            self.batch_lane().queue().end_forming();
        }
        let Some(mut instance) = self.instance.take() else { return };
        let lane = self.shared.lanes.get(self.instance_lane);
        loop {
            let handover = lane.queue().hand_back(instance);
            let Handover::Appoint(appointed, entry) = handover else { return };
            let Entry { rows, group, payload: Waiting { request, turn } } = entry;
            let appointed = LaneInstance { instance: appointed, lane_index: self.instance_lane };
            let lease = Self::of_leader(&self.shared, appointed, self.instance_lane);
            let appointment = Appointment { lease, entry: Entry { rows, group, payload: request } };
            let Err(refused) = turn.send(Turn::Lead(Box::new(appointment))) else { return };
            // The client has gone, and the channel returns the appointment. Its lease ends its own forming when it is
            // dropped; the loop appoints the next request.
            let Turn::Lead(mut appointment) = refused else { return };
            let Some(returned) = appointment.lease.instance.take() else { return };
            instance = returned;
        }
    }
}
