//! When a leader yields its core to other processes.
//!
//! A client or a proxy on the same machine shares the server's cores. Its first request wakes a worker. Where the
//! system runs the worker at once, on the client's core, the client's other requests stay unsent: each batch gets one
//! row while other cores idle. So a leader yields the core before it counts who has arrived, and stops doing so for a
//! while where a yield takes long.

use std::{cell::Cell, time::Instant};

use crate::batcher::tuning::{FAST_YIELDS_PER_SLOW, MAX_YIELD_DOUBLINGS, SLOW_YIELD, YIELD_BACKOFF};

thread_local! {
    static POLICY: Cell<YieldPolicy> = const { Cell::new(YieldPolicy::NEW) };
}

/// Yields the core to whatever else is ready to run on it, unless yields have lately been slow.
pub(in crate::batcher) fn yield_core() {
    let policy = POLICY.get();
    let yielded = Instant::now();
    if policy.should_yield(yielded) {
        std::thread::yield_now();
        POLICY.set(policy.after(yielded, Instant::now()));
    }
}

/// The back-off of one thread.
#[derive(Clone, Copy, Debug)]
struct YieldPolicy {
    /// Slow yields so far, times [`FAST_YIELDS_PER_SLOW`]. Each fast yield takes 1 off.
    slowness: u32,
    /// When the thread yields again; `None`: now.
    resumes: Option<Instant>,
}

impl YieldPolicy {
    const NEW: Self = Self { slowness: 0, resumes: None };

    fn should_yield(self, now: Instant) -> bool {
        self.resumes.is_none_or(|resumes| resumes <= now)
    }

    /// Returns the policy after a yield that began at `yielded` and ended at `returned`.
    fn after(self, yielded: Instant, returned: Instant) -> Self {
        let taken = returned - yielded;
        if taken <= SLOW_YIELD {
            return Self { slowness: self.slowness.saturating_sub(1), resumes: None };
        }
        let doublings = self.slowness / FAST_YIELDS_PER_SLOW;
        let resumes = returned.checked_add(taken * (YIELD_BACKOFF << doublings));
        let most = MAX_YIELD_DOUBLINGS * FAST_YIELDS_PER_SLOW;
        Self { slowness: (self.slowness + FAST_YIELDS_PER_SLOW).min(most), resumes }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn yielding_costs_little_beside_a_process_that_never_sleeps() {
        let slice = 4 * SLOW_YIELD;
        let (mut policy, start) = (YieldPolicy::NEW, Instant::now());
        let (mut now, mut given) = (start, Duration::ZERO);
        while now < start + 60_000 * SLOW_YIELD {
            if policy.should_yield(now) {
                policy = policy.after(now, now + slice);
                now += slice;
                given += slice;
            }
            now += SLOW_YIELD / 10;
        }
        assert!(given < (now - start) / 100, "{given:?}");
    }

    #[test]
    fn fast_yields_cancel_a_slow_one() {
        let start = Instant::now();
        let slow = YieldPolicy::NEW.after(start, start + 2 * SLOW_YIELD);
        assert!(!slow.should_yield(start + 9 * SLOW_YIELD));
        let later = start + 10 * SLOW_YIELD;
        assert!(slow.should_yield(later));
        let fast = |policy: YieldPolicy, _| policy.after(later, later + SLOW_YIELD);
        let recovered = (0..FAST_YIELDS_PER_SLOW).fold(slow, fast);
        assert!(recovered.should_yield(later));
        assert_eq!(recovered.slowness, 0);
    }
}
