//! Leading: holding an instance and forming a batch.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout_at;

use super::{
    Instance, Shared, Turn, Waiting,
    lane::Helper,
    queue::{Entry, Handover},
    wait::join_probe::{self, LOOK},
    wait::returning_clients::ReturningClients,
    wait::yield_policy::make_way,
};
use crate::workers;

/// What a helper is given takes at least so long: to wake a worker costs a tenth of that.
const WORTH_WAKING: Duration = Duration::from_micros(50);

/// So many looks in a row bring nobody before a leader takes it that nobody comes. The first may only start the tasks of
/// HTTP/2's streams, and two are over before a client that is sending has sent the next request.
const IN_VAIN: u32 = 3;

/// The right to run batches on an instance. When it ends, however it ends, the instance goes to the
/// request that waited longest in its lane, or rests when nobody waits.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) shared: Arc<Shared>,
    /// The lane that the instance belongs to.
    pub(super) owner: usize,
    pub(super) instance: Option<Box<Instance>>,
    /// The lane whose requests wait for the batch to be formed, until it is.
    forming: Option<usize>,
}

impl Lease {
    /// For a leader from the lane `home`, whose queue knows of it.
    pub(super) fn new(shared: &Arc<Shared>, owner: usize, instance: Box<Instance>, home: usize) -> Self {
        Self { shared: Arc::clone(shared), owner, instance: Some(instance), forming: Some(home) }
    }

    /// Of a new instance of the lane `owner`, whose queue does not know of it yet.
    pub(super) fn replacing(shared: &Arc<Shared>, owner: usize, instance: Box<Instance>) -> Self {
        Self { shared: Arc::clone(shared), owner, instance: Some(instance), forming: None }
    }

    /// Gives others the time to join `own` in its lane, `home`, as far as that is worth it.
    pub(super) async fn wait_for_others(&self, home: usize, own: &Entry<Waiting>) {
        self.look_for_company(home, own.rows).await;
        self.wait_for_regulars(home, own.rows).await;
        if !self.shared.policy.max_queue_delay.is_zero() {
            // In a box, or every request would be larger by its timer.
            Box::pin(self.wait_for_rows(home, own)).await;
        }
    }

    /// Forms a batch of `own` and of what waits in its lane, `home`, and runs it. Every member, `own` too, is
    /// answered by its channel.
    pub(super) fn lead(mut self, home: usize, own: Entry<Waiting>) {
        let helpers = self.helpers(home);
        let most = self.batch_rows(home, &own, 1 + helpers.len());
        let batch = self.form(home, own, most);
        for (worker, lease) in helpers {
            let Some(batch) = self.form_another(home, most) else { break };
            workers::with_current(|current| {
                if let Some(current) = current {
                    current.workers.spawn_on(worker, async move { lease.run_where_it_fits(batch) });
                }
            });
        }
        self.run_where_it_fits(batch);
    }

    /// Lets every connection with bytes ready decode and join, and whoever shares this core send, if that is worth it:
    /// batches without delay. It looks on until the batch, of `rows` so far, is full or [`IN_VAIN`] looks in a row have
    /// brought nobody.
    async fn look_for_company(&self, home: usize, rows: usize) {
        let (shared, lane) = (&self.shared, self.shared.lanes.get(home));
        if !lane.join_probe.is_worth_a_look() {
            return;
        }
        let before = lane.queue().len();
        let is_full = |waiting| rows + waiting >= shared.policy.max_joined_rows;
        let mut waiting = 0;
        let mut in_vain = 0;
        while in_vain < IN_VAIN && !is_full(waiting) {
            if in_vain == 0 {
                make_way();
            }
            tokio::task::yield_now().await;
            let known = std::mem::replace(&mut waiting, lane.queue().len());
            in_vain = if waiting > known { 0 } else { in_vain + 1 };
        }
        if !is_full(before) {
            let saved = join_probe::saved(shared.run_estimate.expected(1));
            lane.join_probe.looked(waiting.saturating_sub(before), saved, LOOK);
        }
    }

    /// Waits for those who were just answered to come again, one after the other, where that is worth it.
    async fn wait_for_regulars(&self, home: usize, rows: usize) {
        let shared = &self.shared;
        let Some(returning_clients) = &shared.returning_clients else { return };
        let there = || 1 + shared.lanes.get(home).queue().len();
        let is_full = || rows + shared.room.rows() >= shared.policy.max_joined_rows;
        let (known, before) = (returning_clients.count(), there());
        let all_there = || there() >= known || is_full();
        if all_there() || !returning_clients.join_probe.is_worth_a_look() {
            return;
        }
        let row = shared.run_estimate.expected(1);
        // Not the runtime's clock, which tests may stop.
        let (mut latest, patience) = (std::time::Instant::now(), ReturningClients::patience(row));
        let mut present = before;
        while !all_there() && latest.elapsed() < patience {
            make_way();
            tokio::task::yield_now().await;
            if there() > present {
                (latest, present) = (std::time::Instant::now(), there());
            }
        }
        returning_clients.join_probe.looked(
            there().saturating_sub(before),
            returning_clients.saved(row),
            patience,
        );
    }

    /// Waits until enough rows are there for the batch to go, at most for the delay that is allowed.
    async fn wait_for_rows(&self, home: usize, own: &Entry<Waiting>) {
        let (policy, lane) = (&self.shared.policy, self.shared.lanes.get(home));
        let delay_ends = own.payload.work.arrived + policy.max_queue_delay;
        let smallest = policy.preferred_batch_size.iter().min().copied();
        let enough = smallest.unwrap_or(policy.max_joined_rows).min(policy.max_joined_rows);
        loop {
            let arrival = lane.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable(); // or an arrival between the check and the wait would go unseen
            let rows = own.rows + lane.queue().joinable_rows(own.group.as_ref());
            if rows >= enough || timeout_at(delay_ends, arrival).await.is_err() {
                return;
            }
        }
    }

    /// Idle workers to share what waits with, if that takes long enough.
    fn helpers(&self, home: usize) -> Vec<(usize, Self)> {
        let shared = &self.shared;
        let rows = shared.lanes.get(home).queue().rows();
        let worth = shared.run_estimate.expected(rows).as_nanos() / WORTH_WAKING.as_nanos();
        if worth == 0 {
            return Vec::new();
        }
        let lease = |Helper { worker, lane, instance }| {
            let shared = Arc::clone(shared);
            (worker, Self { shared, owner: lane, instance: Some(instance), forming: None })
        };
        shared.lanes.helpers(home, worth as usize).into_iter().map(lease).collect()
    }

    /// Rows of a batch where so many batches are to be formed at once.
    fn batch_rows(&self, home: usize, own: &Entry<Waiting>, batches: usize) -> usize {
        let policy = &self.shared.policy;
        let available = own.rows + self.shared.lanes.get(home).queue().joinable_rows(own.group.as_ref());
        let preferred = policy.preferred_batch_size.iter().copied().filter(|&size| size <= available).max();
        preferred
            .unwrap_or(policy.max_joined_rows)
            .min(policy.max_joined_rows)
            .min(available.div_ceil(batches))
    }

    fn form(&mut self, home: usize, own: Entry<Waiting>, most: usize) -> Vec<Entry<Waiting>> {
        let lane = self.shared.lanes.get(home);
        let mut queue = lane.queue();
        let joined = queue.join(own.group.as_ref(), most.saturating_sub(own.rows));
        queue.formed();
        self.forming = None;
        drop(queue);
        let mut batch = Vec::with_capacity(1 + joined.len());
        batch.push(own);
        batch.extend(joined);
        batch
    }

    /// A batch of what still waits.
    fn form_another(&self, home: usize, most: usize) -> Option<Vec<Entry<Waiting>>> {
        let mut queue = self.shared.lanes.get(home).queue();
        let mut batch = vec![queue.first()?];
        batch.extend(queue.join(batch[0].group.as_ref(), most.saturating_sub(batch[0].rows)));
        Some(batch)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(home) = self.forming.take() {
            self.shared.lanes.get(home).queue().formed();
        }
        let Some(mut instance) = self.instance.take() else { return };
        let lane = self.shared.lanes.get(self.owner);
        loop {
            let handover = lane.queue().hand_back(instance);
            let Handover::Appoint(appointed, entry) = handover else { return };
            let Entry { rows, group, payload: Waiting { work, turn } } = entry;
            let lease = Self::new(&self.shared, self.owner, appointed, self.owner);
            let Err(refused) = turn.send(Turn::Lead(Box::new((lease, Entry { rows, group, payload: work }))))
            else {
                return;
            };
            // Its task is gone; the lease comes back, and the next in the queue is asked.
            let Turn::Lead(mut appointment) = refused else { return };
            let Some(returned) = appointment.0.instance.take() else { return };
            instance = returned;
        }
    }
}
