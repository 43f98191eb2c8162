//! Leading: forming a batch from the requests that wait, and sharing the rest with idle workers.

use super::{
    lane::Helper,
    lease::{Lease, Waiting},
    queue::Entry,
    tuning,
};
use crate::platform::workers;

/// A batch that is being formed: the instance that will run it, and the leader's own request. Requests that wait in
/// the leader's lane may still join.
#[derive(Debug)]
pub(super) struct FormingBatch {
    pub(super) lease: Lease,
    /// The leader's own request.
    pub(super) own: Entry<Waiting>,
}

impl FormingBatch {
    /// Starts a batch that holds the leader's request only.
    pub(super) fn new(lease: Lease, own: Entry<Waiting>) -> Self {
        Self { lease, own }
    }

    /// Takes the waiting requests that fit, and runs the batch. Where more requests wait, idle workers run batches of
    /// them at the same time. Every member receives its result through its channel, the leader too.
    pub(super) fn run(self) {
        let helpers = self.helpers();
        let max_rows = self.max_rows(1 + helpers.len());
        let Self { mut lease, own } = self;
        let batch = lease.form_batch(own, max_rows);
        for (worker, helper) in helpers {
            let Some(batch) = next_batch(&lease, max_rows) else { break };
            workers::with_current(|current| {
                if let Some(current) = current {
                    current.workers.spawn_on(worker, async move { helper.run_batch(batch) });
                }
            });
        }
        lease.run_batch(batch);
    }

    /// Borrows an instance of each idle worker that can take over enough work to be worth waking.
    fn helpers(&self) -> Vec<(usize, Lease)> {
        let shared = &self.lease.shared;
        let rows = self.lease.batch_lane().queue().rows();
        let count = shared.estimate.expected(rows).as_nanos() / tuning::HELPER_RUN_TIME.as_nanos();
        if count == 0 {
            return Vec::new();
        }
        let lease = |Helper { worker, instance }| (worker, Lease::of_instance(shared, instance));
        shared.lanes.helpers(self.lease.batch_lane_index(), count as usize).into_iter().map(lease).collect()
    }

    /// Returns the most rows of each batch where `batches` are formed at once.
    fn max_rows(&self, batches: usize) -> usize {
        let policy = &self.lease.shared.policy;
        let available = self.available_rows();
        let preferred = policy.preferred_batch_size.iter().copied().filter(|&size| size <= available).max();
        preferred
            .unwrap_or(policy.max_joined_rows)
            .min(policy.max_joined_rows)
            .min(available.div_ceil(batches))
    }

    /// Returns the rows that the batch could have now, without a limit.
    pub(super) fn available_rows(&self) -> usize {
        self.own.rows + self.lease.batch_lane().queue().joinable_rows(self.own.group.as_ref())
    }
}

/// Forms one more batch of the requests that still wait in the leader's lane. Returns `None` if none waits.
fn next_batch(lease: &Lease, max_rows: usize) -> Option<Vec<Entry<Waiting>>> {
    let mut queue = lease.batch_lane().queue();
    let mut batch = vec![queue.take_first()?];
    batch.extend(queue.join(batch[0].group.as_ref(), max_rows.saturating_sub(batch[0].rows)));
    Some(batch)
}
