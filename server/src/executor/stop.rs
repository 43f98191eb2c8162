//! Stopping a run from another thread.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// Tells ONNX Runtime to end the run, and returns at once.
type End = Box<dyn Fn() + Send>;

/// Stops one run from another thread. A run that is told to stop before it starts does not start.
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
    /// Tells the run to stop, and returns at once. ONNX Runtime checks for it between two operators of the graph, so
    /// the run may continue for a while.
    pub fn ask(&self) {
        let mut state = self.state();
        state.is_asked = true;
        if let Some(end) = &state.end {
            end();
        }
    }

    /// Returns whether the run was told to stop.
    pub fn is_asked(&self) -> bool {
        self.state().is_asked
    }

    /// Sets what ends the run that is about to start. If the run was told to stop already, `end` is called at once.
    pub(super) fn set_end(&self, end: impl Fn() + Send + 'static) {
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

/// Number of runs in progress that can be stopped, of all models.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Returns whether any model has a run that can be stopped, at warm-up or for a client. A run that cannot be stopped
/// is short.
pub fn has_stoppable_runs() -> bool {
    RUNNING.load(Ordering::Acquire) > 0
}

/// Counts a run that can be stopped until it is dropped.
pub(super) struct StoppableRun(());

impl StoppableRun {
    pub(super) fn new() -> Self {
        RUNNING.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for StoppableRun {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
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
    fn a_stop_ends_the_run_whether_it_comes_before_or_after_its_start() {
        for asked_before in [false, true] {
            let (stop, ends) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
            if asked_before {
                stop.ask();
            }
            let counted = Arc::clone(&ends);
            stop.set_end(move || {
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
