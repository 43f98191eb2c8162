//! Every reason for which a leader waits for more rows before it runs its batch.
//!
//! 1. *Join probe*: the leader yields to the runtime, so that other connections can decode their requests and join.
//!    [`join_probe`] decides whether that pays, and [`yield_policy`] whether other processes get the core first.
//! 2. *Returning clients*: where one instance runs long rows on all cores, the leader waits for the clients of the
//!    previous batch. [`returning_clients`] decides how long.
//!
//!    `--batching static` leaves neither of these two.
//! 3. *Queue delay*: `max_queue_delay_microseconds` in the model's `config.toml`, which is 0 by default.

pub(super) mod join_probe;
pub(super) mod returning_clients;
pub(super) mod yield_policy;

use std::time::Instant;

use tokio::time::timeout_at;

use self::{join_probe::saved_by_joining, returning_clients::ReturningClients, yield_policy::yield_core};
use super::{leader::FormingBatch, tuning};

impl FormingBatch {
    /// Gives other requests time to join the batch, as far as that has paid lately or the configuration asks for it.
    pub(super) async fn wait_for_more_rows(&self) {
        self.probe_for_arrivals().await;
        self.wait_for_returning_clients().await;
        if !self.lease.shared.policy.max_queue_delay.is_zero() {
            // Boxed: a timer inside this future would make the future of every request larger.
            Box::pin(self.wait_for_queue_delay()).await;
        }
    }

    /// Yields to the runtime until the batch is full or [`tuning::EMPTY_POLLS`] polls in a row have brought no
    /// request. Does nothing where probing has not paid lately or is switched off.
    async fn probe_for_arrivals(&self) {
        let (shared, lane) = (&self.lease.shared, self.lease.batch_lane());
        let Some(join_probe) = lane.join_probe.as_ref().filter(|probe| probe.should_probe()) else { return };
        let before = lane.queue().len();
        // A waiting request has at least one row: the batch is full at the latest then.
        let is_full = |waiting| self.own.rows + waiting >= shared.policy.max_joined_rows;
        let mut waiting = 0;
        let mut empty_polls = 0;
        while empty_polls < tuning::EMPTY_POLLS && !is_full(waiting) {
            if empty_polls == 0 {
                yield_core();
            }
            tokio::task::yield_now().await;
            let known = std::mem::replace(&mut waiting, lane.queue().len());
            empty_polls = if waiting > known { 0 } else { empty_polls + 1 };
        }
        if !is_full(before) {
            let saved = saved_by_joining(shared.estimate.expected(1));
            join_probe.record(waiting.saturating_sub(before), saved, tuning::PROBE_COST);
        }
    }

    /// Waits until as many requests are present as at the end of the previous batch, or until none has arrived for
    /// [`ReturningClients::max_gap`]. Does nothing where that has not paid lately.
    async fn wait_for_returning_clients(&self) {
        let shared = &self.lease.shared;
        let Some(clients) = &shared.returning_clients else { return };
        let present = || 1 + self.lease.batch_lane().queue().len();
        let is_full = || self.own.rows + shared.budget.reserved() >= shared.policy.max_joined_rows;
        let (expected, before) = (clients.expected(), present());
        let is_complete = || present() >= expected || is_full();
        if is_complete() || !clients.probe.should_probe() {
            return;
        }
        let row = shared.estimate.expected(1);
        // The system's clock, not the runtime's: tests may stop that one.
        let (mut last_arrival, max_gap) = (Instant::now(), ReturningClients::max_gap(row));
        let mut known = before;
        while !is_complete() && last_arrival.elapsed() < max_gap {
            yield_core();
            tokio::task::yield_now().await;
            if present() > known {
                (last_arrival, known) = (Instant::now(), present());
            }
        }
        clients.probe.record(present().saturating_sub(before), clients.saved_by_joining(row), max_gap);
    }

    /// Waits until the batch has its smallest preferred size, at most for the configured delay since the leader
    /// arrived.
    async fn wait_for_queue_delay(&self) {
        let (policy, lane) = (&self.lease.shared.policy, self.lease.batch_lane());
        let delay_ends = self.own.payload.request.arrived + policy.max_queue_delay;
        let smallest = policy.preferred_batch_size.iter().min().copied();
        let enough = smallest.unwrap_or(policy.max_joined_rows).min(policy.max_joined_rows);
        loop {
            let arrival = lane.arrivals.notified();
            tokio::pin!(arrival);
            // Registered before the check: an arrival between the check and the wait would be missed otherwise.
            arrival.as_mut().enable();
            if self.available_rows() >= enough || timeout_at(delay_ends, arrival).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
