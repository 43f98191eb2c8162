//! The lanes of a model. Each lane has a queue and instances of its own, and serves the requests of some of the
//! workers. What a request touches then stays in the caches of one core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    instance::Instance,
    queue::{BatchQueue, RowBudget},
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
    /// Whether probing for more requests has paid in this lane.
    pub(super) join_probe: JoinProbe,
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
    /// Shares the instances out among `count` lanes, or among fewer lanes if there are fewer instances.
    pub(super) fn new(instances: Vec<Instance>, count: usize, budget: &Arc<RowBudget>) -> Self {
        let all = instances.len();
        let count = count.clamp(1, all.max(1));
        let mut shares: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (index, instance) in instances.into_iter().enumerate() {
            shares[index % count].push(Box::new(instance));
        }
        let lane = |share| Lane {
            queue: Mutex::new(BatchQueue::new(share, Arc::clone(budget))),
            arrivals: Notify::new(),
            join_probe: JoinProbe::new(),
        };
        Self { lanes: shares.into_iter().map(lane).collect(), instances: all }
    }

    /// Returns the lane with this index.
    pub(super) fn get(&self, lane: usize) -> &Lane<P> {
        &self.lanes[lane]
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
    pub(super) fn home(&self) -> usize {
        workers::with_current(|current| current.map_or(0, |current| self.of_worker(current.index)))
    }

    fn of_worker(&self, worker: usize) -> usize {
        worker % self.lanes.len()
    }

    /// Takes a free instance of another lane than `home`, and returns it with the index of its lane.
    pub(super) fn borrow(&self, home: usize) -> Option<(usize, Box<Instance>)> {
        let mut others = self.lanes.iter().enumerate().filter(|(index, _)| *index != home);
        others.find_map(|(index, lane)| Some((index, lane.queue().lend()?)))
    }

    /// Takes a free instance of the lane of each idle worker, for at most `most` workers of other lanes than `home`.
    pub(super) fn helpers(&self, home: usize, most: usize) -> Vec<Helper> {
        let help = |worker: usize| {
            let lane = self.of_worker(worker);
            let instance = (lane != home).then(|| self.lanes[lane].queue().lend())??;
            Some(Helper { worker, lane, instance })
        };
        workers::with_current(|current| {
            current
                .map_or_else(Vec::new, |current| current.workers.idle().filter_map(help).take(most).collect())
        })
    }
}

/// An idle worker, and an instance on which it can run a batch.
pub(super) struct Helper {
    /// Index of the worker.
    pub(super) worker: usize,
    /// Index of the lane that the instance belongs to.
    pub(super) lane: usize,
    pub(super) instance: Box<Instance>,
}
