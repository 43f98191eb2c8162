//! Ending a run before it ends by itself.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// How an engine ends a run that goes on.
type End = Box<dyn Fn() + Send>;

/// The way to end one run from another thread. It is for one run only, which does not start where its end was asked for
/// before.
#[derive(Default)]
pub struct Stop {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_asked: bool,
    end: Option<End>,
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}

impl Stop {
    /// Asks for the end of the run. The engine looks between two operators of the graph, so it may take a while.
    pub fn ask(&self) {
        let mut state = self.state();
        state.is_asked = true;
        if let Some(end) = &state.end {
            end();
        }
    }

    /// Whether its end was asked for.
    pub fn is_asked(&self) -> bool {
        self.state().is_asked
    }

    /// Says how to end the run that is about to start; for the engine to call.
    pub(super) fn is_done_by(&self, end: impl Fn() + Send + 'static) {
        let mut state = self.state();
        if state.is_asked {
            end();
        }
        state.end = Some(Box::new(end));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs that go on now and can be stopped, of all models.
static GOING: AtomicUsize = AtomicUsize::new(0);

/// Whether a run goes on that can be stopped, of any model, a client's or one that warms a model. All others are short.
pub fn runs_go_on() -> bool {
    GOING.load(Ordering::Acquire) > 0
}

/// Counts a run for as long as it goes on.
pub(super) struct Going(());

impl Going {
    pub(super) fn new() -> Self {
        GOING.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        GOING.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn the_engine_is_told_whichever_comes_first() {
        for asked_before in [false, true] {
            let (stop, ends) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
            if asked_before {
                stop.ask();
            }
            let counted = Arc::clone(&ends);
            stop.is_done_by(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(stop.is_asked(), asked_before);
            assert_eq!(ends.load(Ordering::Relaxed), usize::from(asked_before));
            stop.ask();
            assert!(stop.is_asked());
            assert_eq!(ends.load(Ordering::Relaxed), 1 + usize::from(asked_before));
        }
    }
}
