//! Making way for whatever else is ready to run on this core.
//!
//! A client or a proxy on the same machine shares its cores. The first request that it sends wakes a worker, and where
//! that takes the core at once, the requests that were to follow stay unsent: answers go out one by one, while other cores
//! idle. Whoever is about to form a batch therefore lets others go first.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Sending some hundred requests takes less. A program that keeps the core for longer has something else to do.
const LONG: Duration = Duration::from_millis(1);

/// After it took long, nobody is let go first for so many times as long, and for twice as many each further time.
const PAUSE: u32 = 4;

/// At most 256 times as long: what it costs beside a program that never rests.
const MOST_DOUBLINGS: u32 = 6;

/// So many quick returns outweigh one long one.
const WEIGHT_OF_LONG: u32 = 8;

thread_local! {
    static COURTESY: Cell<YieldPolicy> = const { Cell::new(YieldPolicy::NEW) };
}

/// Lets whatever else is ready to run on this core do so, unless that has lately taken long.
pub(in crate::batcher) fn make_way() {
    let yield_policy = COURTESY.get();
    let asked = Instant::now();
    if yield_policy.is_due(asked) {
        std::thread::yield_now();
        COURTESY.set(yield_policy.after(asked, Instant::now()));
    }
}

#[derive(Clone, Copy, Debug)]
struct YieldPolicy {
    /// How often it has lately taken long, times [`WEIGHT_OF_LONG`].
    long: u32,
    /// When others are let go first again.
    resumes: Option<Instant>,
}

impl YieldPolicy {
    const NEW: Self = Self { long: 0, resumes: None };

    fn is_due(self, now: Instant) -> bool {
        self.resumes.is_none_or(|resumes| resumes <= now)
    }

    /// Others had the core from `asked` to `returned`.
    fn after(self, asked: Instant, returned: Instant) -> Self {
        let taken = returned - asked;
        if taken <= LONG {
            return Self { long: self.long.saturating_sub(1), resumes: None };
        }
        let resumes = returned.checked_add(taken * (PAUSE << (self.long / WEIGHT_OF_LONG)));
        Self { long: (self.long + WEIGHT_OF_LONG).min(MOST_DOUBLINGS * WEIGHT_OF_LONG), resumes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_costs_little_beside_a_program_that_never_rests() {
        let slice = 4 * LONG;
        let (mut yield_policy, start) = (YieldPolicy::NEW, Instant::now());
        let (mut now, mut given) = (start, Duration::ZERO);
        while now < start + 60_000 * LONG {
            if yield_policy.is_due(now) {
                yield_policy = yield_policy.after(now, now + slice);
                now += slice;
                given += slice;
            }
            now += LONG / 10;
        }
        assert!(given < (now - start) / 100, "{given:?}");
    }

    #[test]
    fn once_is_soon_forgotten() {
        let start = Instant::now();
        let long = YieldPolicy::NEW.after(start, start + 2 * LONG);
        assert!(!long.is_due(start + 9 * LONG));
        let later = start + 10 * LONG;
        assert!(long.is_due(later));
        let quick = |yield_policy: YieldPolicy, _| yield_policy.after(later, later + LONG);
        let forgotten = (0..WEIGHT_OF_LONG).fold(long, quick);
        assert!(forgotten.is_due(later));
        assert_eq!(forgotten.long, 0);
    }
}
