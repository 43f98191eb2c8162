//! The lanes of a model. Each lane has a queue and instances of its own, and serves the requests of some of the
//! workers. What a request touches then stays in the caches of one core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    instance::Instance,
    queue::{BatchQueue, RowBudget},
    tuning::Policies,
    wait::join_probe::JoinProbe,
};
use crate::platform::workers;

/// The queue of a lane, of requests `P` and instances.
pub(super) type LaneQueue<P> = BatchQueue<P, Box<Instance>>;

/// One lane, whose waiting requests are of type `P`. It is aligned to 128 bytes, two cache lines, since processors
/// fetch lines in pairs: two lanes must not share a line.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Lane<P> {
    queue: Mutex<LaneQueue<P>>,
    /// Notified of each arrival where the model has a queue delay.
    pub(super) arrivals: Notify,
    /// Whether probing for more requests has paid in this lane. `None`: leaders never probe.
    pub(super) join_probe: Option<JoinProbe>,
}

impl<P> Lane<P> {
    /// Locks the queue.
    pub(super) fn queue(&self) -> MutexGuard<'_, LaneQueue<P>> {
        // No code under the lock panics, and a panic would leave the queue consistent, so a poisoned lock is usable.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All lanes of a model, at least one.
#[derive(Debug)]
pub(super) struct Lanes<P> {
    lanes: Box<[Lane<P>]>,
    /// Instances of all lanes together.
    instances: usize,
}

impl<P> Lanes<P> {
    /// Shares the instances out among the lanes of `policies`, or among fewer lanes if there are fewer instances.
    pub(super) fn new(instances: Vec<Instance>, policies: Policies, budget: &Arc<RowBudget>) -> Self {
        let all = instances.len();
        let count = policies.lanes.clamp(1, all.max(1));
        let mut shares: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (index, instance) in instances.into_iter().enumerate() {
            shares[index % count].push(Box::new(instance));
        }
        let lane = |share| Lane {
            queue: Mutex::new(BatchQueue::new(share, Arc::clone(budget))),
            arrivals: Notify::new(),
            join_probe: policies.join_probe.then(JoinProbe::new),
        };
        Self { lanes: shares.into_iter().map(lane).collect(), instances: all }
    }

    /// Returns the lane with this index.
    pub(super) fn get(&self, lane_index: usize) -> &Lane<P> {
        &self.lanes[lane_index]
    }

    /// Iterates over all lanes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane<P>> {
        self.lanes.iter()
    }

    /// Returns the number of requests that wait in all lanes.
    pub(super) fn waiting(&self) -> usize {
        self.iter().map(|lane| lane.queue().len()).sum()
    }

    /// Returns whether exactly one instance is in use and no request waits in any lane.
    pub(super) fn has_one_leader(&self) -> bool {
        let add = |free, lane: &Lane<P>| {
            let queue = lane.queue();
            queue.is_empty().then(|| free + queue.free_instances())
        };
        self.iter().try_fold(0, add).is_some_and(|free| free + 1 == self.instances)
    }

    /// Returns the index of the lane for requests that arrive on this thread.
    pub(super) fn index_of_current_worker(&self) -> usize {
        workers::with_current(|current| current.map_or(0, |current| self.of_worker(current.index)))
    }

    fn of_worker(&self, worker: usize) -> usize {
        worker % self.lanes.len()
    }

    /// Takes a free instance of another lane than this one.
    pub(super) fn borrow(&self, lane_index: usize) -> Option<LaneInstance> {
        let mut others = self.lanes.iter().enumerate().filter(|(other, _)| *other != lane_index);
        others.find_map(|(other, lane)| {
            Some(LaneInstance { instance: lane.queue().lend()?, lane_index: other })
        })
    }

    /// Takes a free instance of the lane of each idle worker, for at most `most` workers of other lanes than this one.
    pub(super) fn helpers(&self, lane_index: usize, most: usize) -> Vec<Helper> {
        let help = |worker: usize| {
            let other = self.of_worker(worker);
            let instance = (other != lane_index).then(|| self.lanes[other].queue().lend())??;
            Some(Helper { worker, instance: LaneInstance { instance, lane_index: other } })
        };
        workers::with_current(|current| {
            current
                .map_or_else(Vec::new, |current| current.workers.idle().filter_map(help).take(most).collect())
        })
    }
}

/// An instance, and the lane to which it returns after its batch.
pub(super) struct LaneInstance {
    pub(super) instance: Box<Instance>,
    pub(super) lane_index: usize,
}

/// An idle worker, and an instance on which it can run a batch.
pub(super) struct Helper {
    /// Index of the worker.
    pub(super) worker: usize,
    pub(super) instance: LaneInstance,
}
