//! The lanes of a model: each has a queue and instances of its own, and serves the requests of some of the workers.
//! What a request touches is thereby not touched by other cores at the same time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    Instance, Waiting,
    queue::{BatchQueue, RowBudget},
    wait::join_probe::JoinProbe,
};
use crate::workers;

/// Lanes do not share the lines of a cache, of which processors fetch two at once.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Lane {
    queue: Mutex<BatchQueue<Waiting, Box<Instance>>>,
    /// Told of every arrival while leaders may be waiting for more rows.
    pub(super) arrivals: Notify,
    pub(super) join_probe: JoinProbe,
}

impl Lane {
    pub(super) fn queue(&self) -> MutexGuard<'_, BatchQueue<Waiting, Box<Instance>>> {
        // No code that can panic runs under the lock, and the queue has no state that a panic could halve.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All lanes of a model; there is at least one.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Box<[Lane]>,
    /// Instances of all of them.
    instances: usize,
}

impl Lanes {
    /// Shares the instances out among `count` lanes, or among fewer if there are fewer instances.
    pub(super) fn new(instances: Vec<Instance>, count: usize, room: &Arc<RowBudget>) -> Self {
        let all = instances.len();
        let count = count.clamp(1, all.max(1));
        let mut shares: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (index, instance) in instances.into_iter().enumerate() {
            shares[index % count].push(Box::new(instance));
        }
        let lane = |share| Lane {
            queue: Mutex::new(BatchQueue::new(share, Arc::clone(room))),
            arrivals: Notify::new(),
            join_probe: JoinProbe::new(),
        };
        Self { lanes: shares.into_iter().map(lane).collect(), instances: all }
    }

    pub(super) fn get(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// Requests that wait in all of them.
    pub(super) fn waiting(&self) -> usize {
        self.iter().map(|lane| lane.queue().len()).sum()
    }

    /// Whether nobody waits in any of them, and but one instance is in use.
    pub(super) fn has_one_leader(&self) -> bool {
        let add = |free, lane: &Lane| {
            let queue = lane.queue();
            queue.is_empty().then(|| free + queue.idle())
        };
        self.iter().try_fold(0, add).is_some_and(|free| free + 1 == self.instances)
    }

    /// The lane of the requests that come on this thread.
    pub(super) fn home(&self) -> usize {
        workers::with_current(|current| current.map_or(0, |current| self.of_worker(current.index)))
    }

    fn of_worker(&self, worker: usize) -> usize {
        worker % self.lanes.len()
    }

    /// A free instance of another lane than `home`, and which.
    pub(super) fn borrow(&self, home: usize) -> Option<(usize, Box<Instance>)> {
        let mut others = self.lanes.iter().enumerate().filter(|(index, _)| *index != home);
        others.find_map(|(index, lane)| Some((index, lane.queue().lend()?)))
    }

    /// Workers that have nothing to do, at most `most` of them, each with a free instance of its lane.
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

/// A worker that has nothing to do, and an instance that it can run a batch on.
pub(super) struct Helper {
    pub(super) worker: usize,
    pub(super) lane: usize,
    pub(super) instance: Box<Instance>,
}
