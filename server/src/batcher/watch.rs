//! The watch: a thread that stops runs whose clients have all gone.
//!
//! It watches the runs on instances' own threads, of every model. A run that does not stop keeps its instance, so the
//! watch has another instance loaded in its place.

use std::{
    ops::Range,
    sync::{
        Arc, Condvar, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    lane::LaneInstance,
    lease::{Lease, Shared, Waiting},
    queue::Entry,
    tuning::{MAX_UNSTOPPED_RUNS, STOP_GRACE, WATCH_INTERVAL},
};
use crate::executor::Stop;

/// States of a run, for an atomic.
mod state {
    pub(super) const RUNNING: u8 = 0;
    /// The run was told to stop and goes on.
    pub(super) const UNSTOPPED: u8 = 1;
    /// The same, and another instance has been loaded in place of its own.
    pub(super) const REPLACED: u8 = 2;
    pub(super) const ENDED: u8 = 3;
}

/// A batch that runs on its instance's own thread.
pub(super) struct WatchedRun {
    shared: Arc<Shared>,
    /// Index of the lane of its instance.
    lane_index: usize,
    started: Instant,
    /// Locked for reading during the run, and emptied at its end.
    members: RwLock<Vec<Entry<Waiting>>>,
    part: Mutex<Part>,
    state: AtomicU8,
}

/// Held by the thread that runs the batch. Dropping it marks the run as ended, after a panic too.
pub(super) struct RunGuard(Arc<WatchedRun>);

/// What runs now: the whole batch, or one member alone.
struct Part {
    members: Range<usize>,
    stop: Arc<Stop>,
}

impl WatchedRun {
    /// Registers a run of these members with the watch.
    pub(super) fn start(shared: &Arc<Shared>, lane_index: usize, members: Vec<Entry<Waiting>>) -> RunGuard {
        let part = Part { members: 0..members.len(), stop: Arc::default() };
        let run = Arc::new(Self {
            shared: Arc::clone(shared),
            lane_index,
            started: Instant::now(),
            members: RwLock::new(members),
            part: Mutex::new(part),
            state: AtomicU8::new(state::RUNNING),
        });
        WATCH.add(Arc::clone(&run));
        RunGuard(run)
    }

    fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == state::ENDED
    }

    /// Changes the state if it is still `from`, and returns whether it did.
    fn advance(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Returns the handle that stops what runs now, if no client waits for it any more.
    fn abandoned(&self) -> Option<Arc<Stop>> {
        let (members, stop) = {
            let part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
            (part.members.clone(), Arc::clone(&part.stop))
        };
        // The lock is taken for writing only while the run ends. There is nothing to stop then.
        let all = self.members.try_read().ok()?;
        let is_abandoned = all.get(members)?.iter().all(|entry| entry.payload.turn.is_closed());
        is_abandoned.then_some(stop)
    }

    /// Counts and logs that the run goes on although it was told to stop longer than [`STOP_GRACE`] ago.
    fn report_unstopped(&self) {
        let Shared { unstopped, metrics, .. } = &*self.shared;
        // Counted before the state changes: a run that ends at that moment subtracts, and must not do so first.
        unstopped.running.fetch_add(1, Ordering::Relaxed);
        metrics.runs.unstopped.inc();
        if !self.advance(state::RUNNING, state::UNSTOPPED) {
            // It has ended meanwhile.
            unstopped.running.fetch_sub(1, Ordering::Relaxed);
            metrics.runs.unstopped.dec();
            return;
        }
        metrics.runs.not_stopped.inc();
        let [model, version] = metrics.names();
        let seconds = self.started.elapsed().as_secs();
        tracing::warn!(
            model,
            version,
            seconds,
            "a run does not stop though nobody waits for it: ONNX Runtime computes one operator for that long"
        );
    }

    /// Starts to load another instance in place of the run's own, unless too many have been replaced. Returns whether
    /// it did.
    fn replace_instance(self: &Arc<Self>) -> bool {
        let replaced = &self.shared.unstopped.replaced;
        // Only the watch thread adds to the count, so it cannot grow between the check and the addition.
        let has_loader = self.shared.replacement.get().is_some();
        if !has_loader || replaced.load(Ordering::Relaxed) + 1 >= MAX_UNSTOPPED_RUNS {
            return false;
        }
        replaced.fetch_add(1, Ordering::Relaxed);
        let run = Arc::clone(self);
        let loading = thread::Builder::new().name("replacement".into()).spawn(move || run.load_replacement());
        if loading.is_err() {
            replaced.fetch_sub(1, Ordering::Relaxed);
        }
        loading.is_ok()
    }

    /// Loads another instance and gives it to the lane, unless the run has ended meanwhile.
    fn load_replacement(&self) {
        let Shared { replacement, unstopped, metrics, .. } = &*self.shared;
        let [model, version] = metrics.names();
        let load = || replacement.get().map(|load| load());
        let loaded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load));
        match loaded {
            Ok(Some(Ok(instance))) if self.advance(state::UNSTOPPED, state::REPLACED) => {
                tracing::info!(model, version, "another instance replaces the one that does not stop");
                // A lease that ends hands its instance to the lane.
                let instance = LaneInstance { instance: Box::new(instance), lane_index: self.lane_index };
                drop(Lease::of_instance(&self.shared, instance));
                return;
            }
            Ok(Some(Err(error))) => {
                tracing::error!(model, version, error, "an instance that does not stop cannot be replaced");
            }
            // The run has ended meanwhile, and its own instance is free again.
            Ok(_) => {}
            Err(_) => tracing::error!(model, version, "loading another instance panicked"),
        }
        unstopped.replaced.fetch_sub(1, Ordering::Relaxed);
    }

    /// Marks the run as ended. Returns its members, and whether its instance has been replaced.
    fn end(&self) -> (Vec<Entry<Waiting>>, bool) {
        let last = self.state.swap(state::ENDED, Ordering::AcqRel);
        let Shared { unstopped, metrics, .. } = &*self.shared;
        if last != state::RUNNING {
            unstopped.running.fetch_sub(1, Ordering::Relaxed);
            metrics.runs.unstopped.dec();
            let [model, version] = metrics.names();
            let seconds = self.started.elapsed().as_secs();
            tracing::info!(model, version, seconds, "a run that did not stop has ended");
        }
        if last == state::REPLACED {
            unstopped.replaced.fetch_sub(1, Ordering::Relaxed);
        }
        let members = std::mem::take(&mut *self.members.write().unwrap_or_else(PoisonError::into_inner));
        (members, last == state::REPLACED)
    }
}

impl RunGuard {
    /// Calls `run` with the members, which are locked for reading meanwhile.
    pub(super) fn with_members<R>(&self, run: impl FnOnce(&[Entry<Waiting>]) -> R) -> R {
        run(&self.0.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Declares that only these members run from now on, and returns the handle that stops them. The watch stops them
    /// once all their clients have gone, even if clients of other members still wait.
    pub(super) fn begin_part(&self, members: Range<usize>) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        let part = Part { members, stop: Arc::clone(&stop) };
        *self.0.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
        stop
    }

    /// Ends the run. Returns its members, and whether its instance has been replaced.
    pub(super) fn end(self) -> (Vec<Entry<Waiting>>, bool) {
        self.0.end()
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        if !self.0.has_ended() {
            drop(self.0.end()); // after a panic
        }
    }
}

/// What the watch knows about a run.
struct Watched {
    run: Arc<WatchedRun>,
    /// The handle that was told to stop, and when.
    told: Option<(Arc<Stop>, Instant)>,
    is_replaced: bool,
}

impl Watched {
    /// Checks whether anyone waits for the run, and acts if not. Returns whether the run goes on.
    fn check(&mut self, now: Instant) -> bool {
        if self.run.has_ended() {
            return false;
        }
        let Some(stop) = self.run.abandoned() else { return true };
        match &self.told {
            Some((told, since)) if Arc::ptr_eq(told, &stop) => {
                if now.saturating_duration_since(*since) < STOP_GRACE {
                    return true;
                }
                if self.run.state.load(Ordering::Acquire) == state::RUNNING {
                    self.run.report_unstopped();
                }
                if !self.is_replaced {
                    self.is_replaced = self.run.replace_instance();
                }
            }
            _ => {
                stop.ask();
                self.told = Some((stop, now));
            }
        }
        true
    }
}

/// The watch of the process. Its thread starts with the first run.
static WATCH: LazyLock<Watch> = LazyLock::new(Watch::start);

struct Watch {
    shared: Arc<(Mutex<NewRuns>, Condvar)>,
}

/// Runs that the watch thread has not seen yet.
#[derive(Default)]
struct NewRuns {
    runs: Vec<Arc<WatchedRun>>,
    /// Whether the thread has nothing to watch and sleeps until it is woken.
    is_idle: bool,
}

impl Watch {
    fn start() -> Self {
        let shared = Arc::<(Mutex<NewRuns>, Condvar)>::default();
        let own = Arc::clone(&shared);
        let started = thread::Builder::new().name("watch".into()).spawn(move || watch(&own));
        if let Err(error) = started {
            tracing::error!(%error, "runs that nobody waits for are not stopped: the system gives no thread");
        }
        Self { shared }
    }

    /// Adds a run, and wakes the thread if it sleeps.
    fn add(&self, run: Arc<WatchedRun>) {
        let (new, added) = &*self.shared;
        let mut new = new.lock().unwrap_or_else(PoisonError::into_inner);
        new.runs.push(run);
        if std::mem::take(&mut new.is_idle) {
            added.notify_one();
        }
    }
}

/// The watch thread: checks every run at each interval, and sleeps while there is none.
fn watch((new, added): &(Mutex<NewRuns>, Condvar)) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let mut new = new.lock().unwrap_or_else(PoisonError::into_inner);
        while watched.is_empty() && new.runs.is_empty() {
            new.is_idle = true;
            new = added.wait(new).unwrap_or_else(PoisonError::into_inner);
        }
        new.is_idle = false;
        let runs = std::mem::take(&mut new.runs);
        drop(new);
        watched.extend(runs.into_iter().map(|run| Watched { run, told: None, is_replaced: false }));
        thread::park_timeout(WATCH_INTERVAL);
        let now = Instant::now();
        watched.retain_mut(|run| run.check(now));
    }
}
