//! A request that is alone, on all cores.
//!
//! Where a row takes about a millisecond, sessions of one thread serve many clients best: their runs go side by side,
//! and none waits for another. But a client that is alone keeps one core busy then, and the rest idle. For it there is
//! one session more, which runs on many threads. It is taken once several runs in a row have had nobody beside them:
//! two clients whose runs end together look alone to the later of them, and would be in each other's way next time.

use std::sync::{
    Mutex, TryLockError,
    atomic::{AtomicU32, Ordering},
};

use super::Instance;

/// So many runs in a row that had nobody beside them show that a client is alone.
const SHOWN: u32 = 4;

/// The session for requests that are alone.
#[derive(Debug)]
pub(super) struct IdleSession {
    /// Locked while it runs; nobody ever waits for it.
    instance: Mutex<Instance>,
    /// Runs in a row that had nobody beside them.
    alone: AtomicU32,
}

impl IdleSession {
    pub(super) fn new(instance: Instance) -> Self {
        Self { instance: Mutex::new(instance), alone: AtomicU32::new(0) }
    }

    /// Has `run` use this session if it `is_alone`, and has been for a while, else the leader's own one.
    pub(super) fn run<R>(
        &self,
        own: &mut Instance,
        is_alone: impl Fn() -> bool,
        run: impl FnOnce(&mut Instance) -> R,
    ) -> R {
        let result = if self.alone.load(Ordering::Relaxed) >= SHOWN && is_alone() {
            match self.instance.try_lock() {
                Ok(mut instance) => run(&mut instance),
                // It is as usable as after any failed run.
                Err(TryLockError::Poisoned(error)) => run(&mut error.into_inner()),
                Err(TryLockError::WouldBlock) => run(own),
            }
        } else {
            run(own)
        };
        if !is_alone() {
            self.alone.store(0, Ordering::Relaxed);
        } else if self.alone.load(Ordering::Relaxed) < SHOWN {
            self.alone.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ptr,
        sync::{Arc, atomic::AtomicUsize},
    };

    use super::*;
    use crate::{
        batcher::{
            Batcher,
            tests::{AddOne, SHORT, numbers, policy, request, soon},
        },
        executor::RunCost,
        telemetry::Metrics,
    };

    fn instance() -> (Instance, Arc<AtomicUsize>) {
        let executor = AddOne::default();
        let runs = Arc::clone(&executor.runs);
        (Instance::new(Box::new(executor)), runs)
    }

    /// Whether a run takes the session, where it is alone or not.
    fn takes(idle_session: &IdleSession, is_alone: bool) -> bool {
        let mut own = instance().0;
        let address = ptr::from_ref(&own);
        idle_session.run(&mut own, || is_alone, |instance| !ptr::eq(instance, address))
    }

    #[test]
    fn it_is_taken_after_some_runs_that_were_alone() {
        let idle_session = IdleSession::new(instance().0);
        for _ in 0..2 {
            assert!(!takes(&idle_session, false));
            assert!((0..SHOWN).all(|_| !takes(&idle_session, true)));
            assert!((0..100).all(|_| takes(&idle_session, true)));
        }
    }

    #[test]
    fn while_it_runs_others_use_their_own() {
        let idle_session = IdleSession::new(instance().0);
        let mut own = instance().0;
        assert!((0..SHOWN).all(|_| !takes(&idle_session, true)));
        assert!(!idle_session.run(&mut own, || true, |_| takes(&idle_session, true)));
        assert!(takes(&idle_session, true));
    }

    #[tokio::test]
    async fn one_client_takes_it_and_many_do_not() {
        let ((own, runs), (other, other_runs), (idle_session, solo_runs)) =
            (instance(), instance(), instance());
        let metrics = Metrics::new().unwrap().model("add", "1");
        let batcher =
            Batcher::new(vec![own, other], Some(idle_session), 1, policy(), RunCost::of_rows(SHORT), metrics);
        let submit = |number| {
            let batcher = batcher.clone();
            async move { numbers(&batcher.submit(request(number, 1, 1), soon()).await.unwrap()) }
        };
        let counts = || {
            let side_by_side = runs.load(Ordering::Relaxed) + other_runs.load(Ordering::Relaxed);
            (side_by_side, solo_runs.load(Ordering::Relaxed))
        };
        for number in 0..10 {
            assert_eq!(submit(number).await, [number + 1]);
        }
        assert_eq!(counts(), (4, 6));
        let many: Vec<_> = (20..36).map(|number| tokio::spawn(submit(number))).collect();
        for (number, answer) in (20..).zip(many) {
            assert_eq!(answer.await.unwrap(), [number + 1]);
        }
        assert_eq!(counts().1, 6);
        assert_eq!(submit(40).await, [41]);
        assert_eq!(counts().1, 6, "others were there a moment ago");
    }
}
