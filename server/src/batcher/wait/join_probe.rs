//! Whether looking for join_probe pays. A leader that looks lets others join its run, which spares each of them one of its
//! own; but a look costs a round of every socket, and wakes an idle thread to help with nothing: at one connection as
//! much as all of HTTP.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

/// What a round of the sockets costs.
pub(in crate::batcher) const LOOK: Duration = Duration::from_micros(4);

/// What a request that joins saves, beside a part of its row's time: forming, calling and accounting for a run.
const RUN: Duration = Duration::from_micros(3);

/// The part of a row's time that goes to the run, whatever its rows.
const PART_OF_ROW: u32 = 5;

/// Looks go on until they bring less than so many percent of what they cost: to look now and then takes more time
/// than to look always or never.
const ENOUGH_TO_GO_ON: u128 = 80;

/// While looking does not pay, so many batches in a row look all the same, to see whether it would.
const TRIALS: u32 = 16;

/// Of so many batches.
const PERIOD: u32 = 512;

/// A look counts as one in so many of those before.
const MEMORY: u32 = 16;

/// Fixed point: one request.
const ONE: u32 = 1 << 16;

/// What a request saves by joining a run instead of having one, where rows take so long.
pub(in crate::batcher) fn saved(row: Duration) -> Duration {
    RUN + row / PART_OF_ROW
}

/// What looks have brought. A lost update between two threads does no harm.
#[derive(Debug)]
pub(in crate::batcher) struct JoinProbe {
    /// Moving average of the requests that a look brings, in parts of [`ONE`].
    joining: AtomicU32,
    pays: AtomicBool,
    /// Batches so far.
    batches: AtomicU32,
}

impl JoinProbe {
    /// Looks are taken to pay until they are seen not to.
    pub(in crate::batcher) const fn new() -> Self {
        Self { joining: AtomicU32::new(ONE), pays: AtomicBool::new(true), batches: AtomicU32::new(0) }
    }

    /// Whether the leader of a batch should look who else has come.
    pub(in crate::batcher) fn is_worth_a_look(&self) -> bool {
        let batches = self.batches.load(Ordering::Relaxed);
        self.batches.store(batches.wrapping_add(1), Ordering::Relaxed);
        self.pays.load(Ordering::Relaxed) || batches % PERIOD < TRIALS
    }

    /// A look that costs so much brought so many requests, each of which saves so much by joining.
    pub(in crate::batcher) fn looked(&self, joined: usize, saved: Duration, cost: Duration) {
        let joined = u32::try_from(joined).unwrap_or(u32::MAX).min(u32::MAX / ONE) * ONE;
        let known = self.joining.load(Ordering::Relaxed);
        let joining = known - known / MEMORY + joined / MEMORY;
        self.joining.store(joining, Ordering::Relaxed);
        let saves = u128::from(joining) * saved.as_nanos() / u128::from(ONE);
        let enough = if self.pays.load(Ordering::Relaxed) { ENOUGH_TO_GO_ON } else { 100 };
        self.pays.store(saves * 100 >= cost.as_nanos() * enough, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_nanos(500);
    const LONG: Duration = Duration::from_millis(6);

    /// How many of so many batches look, where each look brings `joined` requests.
    fn looks(join_probe: &JoinProbe, batches: u32, joined: usize, row: Duration) -> u32 {
        let look = |_: &u32| {
            let looks = join_probe.is_worth_a_look();
            if looks {
                join_probe.looked(joined, saved(row), LOOK);
            }
            looks
        };
        u32::try_from((0..batches).filter(look).count()).unwrap()
    }

    #[test]
    fn it_is_looked_for_now_and_then_where_nobody_comes() {
        for row in [SHORT, LONG] {
            let join_probe = JoinProbe::new();
            looks(&join_probe, PERIOD, 0, row);
            assert_eq!(looks(&join_probe, PERIOD, 0, row), TRIALS, "{row:?}");
        }
    }

    #[test]
    fn it_is_looked_for_where_it_saves_more_than_the_look() {
        for (joined, row, always) in [(1, SHORT, false), (2, SHORT, true), (1, LONG, true)] {
            let join_probe = JoinProbe::new();
            looks(&join_probe, PERIOD, joined, row);
            assert_eq!(looks(&join_probe, PERIOD, joined, row) == PERIOD, always, "{joined} {row:?}");
        }
    }

    #[test]
    fn it_is_found_again() {
        let join_probe = JoinProbe::new();
        looks(&join_probe, PERIOD, 0, SHORT);
        looks(&join_probe, 2 * PERIOD, 15, SHORT);
        assert_eq!(looks(&join_probe, PERIOD, 15, SHORT), PERIOD);
    }
}
