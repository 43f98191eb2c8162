//! A session of many threads for a client that is alone.
//!
//! Where a row takes about a millisecond, sessions of one thread each serve many clients best: their runs go side by
//! side and do not wait for each other. A single client would then keep one core busy and leave the others idle. For
//! it the model has one more session, which runs on many threads. A leader uses that session once several runs in a
//! row have had no other request beside them.

use std::sync::{
    Mutex, TryLockError,
    atomic::{AtomicU32, Ordering},
};

use super::{instance::Instance, tuning::LONE_RUNS};

/// The session, and how long a client has been alone.
#[derive(Debug)]
pub(super) struct IdleSession {
    /// Locked while it runs a batch. No leader waits for the lock.
    instance: Mutex<Instance>,
    /// Consecutive runs without any other request, up to [`LONE_RUNS`].
    lone_runs: AtomicU32,
}

impl IdleSession {
    /// Wraps the instance that holds the session.
    pub(super) fn new(instance: Instance) -> Self {
        Self { instance: Mutex::new(instance), lone_runs: AtomicU32::new(0) }
    }

    /// Calls `run` with this session if the request `is_alone` and the last [`LONE_RUNS`] runs were too, and with the
    /// leader's `own` instance otherwise.
    pub(super) fn run<R>(
        &self,
        own: &mut Instance,
        is_alone: impl Fn() -> bool,
        run: impl FnOnce(&mut Instance) -> R,
    ) -> R {
        let result = if self.lone_runs.load(Ordering::Relaxed) >= LONE_RUNS && is_alone() {
            match self.instance.try_lock() {
                Ok(mut instance) => run(&mut instance),
                // An instance stays usable after a panic, as after any other failed run.
                Err(TryLockError::Poisoned(error)) => run(&mut error.into_inner()),
                Err(TryLockError::WouldBlock) => run(own),
            }
        } else {
            run(own)
        };
        if !is_alone() {
            self.lone_runs.store(0, Ordering::Relaxed);
        } else if self.lone_runs.load(Ordering::Relaxed) < LONE_RUNS {
            self.lone_runs.fetch_add(1, Ordering::Relaxed);
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

    /// Returns whether a run uses the idle session.
    fn uses(idle_session: &IdleSession, is_alone: bool) -> bool {
        let mut own = instance().0;
        let address = ptr::from_ref(&own);
        idle_session.run(&mut own, || is_alone, |instance| !ptr::eq(instance, address))
    }

    #[test]
    fn a_leader_uses_it_after_enough_lone_runs() {
        let idle_session = IdleSession::new(instance().0);
        for _ in 0..2 {
            assert!(!uses(&idle_session, false));
            assert!((0..LONE_RUNS).all(|_| !uses(&idle_session, true)));
            assert!((0..100).all(|_| uses(&idle_session, true)));
        }
    }

    #[test]
    fn while_it_runs_other_leaders_use_their_own_instances() {
        let idle_session = IdleSession::new(instance().0);
        let mut own = instance().0;
        assert!((0..LONE_RUNS).all(|_| !uses(&idle_session, true)));
        assert!(!idle_session.run(&mut own, || true, |_| uses(&idle_session, true)));
        assert!(uses(&idle_session, true));
    }

    #[tokio::test]
    async fn one_client_uses_it_and_many_do_not() {
        let ((own, runs), (other, other_runs), (idle_session, idle_session_runs)) =
            (instance(), instance(), instance());
        let metrics = Metrics::new().unwrap().model("add", "1");
        let batcher =
            Batcher::new(vec![own, other], Some(idle_session), policy(), RunCost::of_rows(SHORT), metrics);
        let submit = |number| {
            let batcher = batcher.clone();
            async move { numbers(&batcher.submit(request(number, 1, 1), soon()).await.unwrap()) }
        };
        let counts = || {
            let side_by_side = runs.load(Ordering::Relaxed) + other_runs.load(Ordering::Relaxed);
            (side_by_side, idle_session_runs.load(Ordering::Relaxed))
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
