//! Watches the runs on instances' own threads: stops one that nobody waits for any more, and has another instance loaded
//! in the place of one that does not stop.

use std::{
    ops::Range,
    sync::{
        Arc, Condvar, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Instance, Shared, Waiting, leader::Lease, queue::Entry};
use crate::executor::Stop;

/// How often the watch looks who still waits.
const TICK: Duration = Duration::from_millis(10);

/// How long a run may take to stop. ONNX Runtime looks between two operators whether it is to: one that takes longer than
/// this is in the middle of an operator that may never end.
const GRACE: Duration = Duration::from_secs(2);

/// With so many runs that do not stop a model is not ready: each keeps its threads busy and its memory taken. The
/// instances of all but the last are replaced.
pub(super) const MOST_UNSTOPPED: usize = 4;

/// Loads one more instance of a model.
pub type Replacement = Box<dyn Fn() -> Result<Instance, String> + Send + Sync>;

/// Of one model's runs, those that do not stop.
#[derive(Debug, Default)]
pub(super) struct Unstopped {
    going: AtomicUsize,
    /// Of these, those whose instance has been replaced, or is being so.
    replaced: AtomicUsize,
}

impl Unstopped {
    pub(super) fn count(&self) -> usize {
        self.going.load(Ordering::Relaxed)
    }
}

/// How a run is doing.
mod fate {
    pub(super) const GOING: u8 = 0;
    /// It was asked to stop, and goes on.
    pub(super) const UNSTOPPED: u8 = 1;
    /// The same, and another instance has been loaded in the place of its own.
    pub(super) const REPLACED: u8 = 2;
    pub(super) const ENDED: u8 = 3;
}

/// A batch that runs on its instance's own thread.
pub(super) struct Run {
    shared: Arc<Shared>,
    /// The lane of its instance.
    owner: usize,
    started: Instant,
    /// Read while it runs, and taken when it has ended.
    members: RwLock<Vec<Entry<Waiting>>>,
    part: Mutex<Part>,
    fate: AtomicU8,
}

/// Lives as long as a run goes on, and marks it as ended however it ends.
pub(super) struct Going(Arc<Run>);

/// What runs now: the batch, or one of its members alone.
struct Part {
    members: Range<usize>,
    stop: Arc<Stop>,
}

impl Run {
    /// A run of these members, which the watch looks after from now on.
    pub(super) fn watched(shared: &Arc<Shared>, owner: usize, members: Vec<Entry<Waiting>>) -> Going {
        let part = Part { members: 0..members.len(), stop: Arc::default() };
        let run = Arc::new(Self {
            shared: Arc::clone(shared),
            owner,
            started: Instant::now(),
            members: RwLock::new(members),
            part: Mutex::new(part),
            fate: AtomicU8::new(fate::GOING),
        });
        WATCH.add(Arc::clone(&run));
        Going(run)
    }

    fn has_ended(&self) -> bool {
        self.fate.load(Ordering::Acquire) == fate::ENDED
    }

    fn turns(&self, from: u8, to: u8) -> bool {
        self.fate.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The way to stop what runs now, if nobody waits for it.
    fn deserted(&self) -> Option<Arc<Stop>> {
        let (members, stop) = {
            let part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
            (part.members.clone(), Arc::clone(&part.stop))
        };
        // While it ends there is nothing to see.
        let all = self.members.try_read().ok()?;
        let is_deserted = all.get(members)?.iter().all(|entry| entry.payload.turn.is_closed());
        is_deserted.then_some(stop)
    }

    /// Counts and logs that it was asked to stop longer than [`GRACE`] ago, and goes on.
    fn does_not_stop(&self) {
        let Shared { unstopped, metrics, .. } = &*self.shared;
        unstopped.going.fetch_add(1, Ordering::Relaxed);
        metrics.runs.unstopped.inc();
        if !self.turns(fate::GOING, fate::UNSTOPPED) {
            unstopped.going.fetch_sub(1, Ordering::Relaxed);
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

    /// Starts to load another instance in the place of its own, unless too many were; whether it did.
    fn replace(self: &Arc<Self>) -> bool {
        let replaced = &self.shared.unstopped.replaced;
        // Only this thread adds to it.
        if self.shared.replacement.get().is_none() || replaced.load(Ordering::Relaxed) + 1 >= MOST_UNSTOPPED {
            return false;
        }
        replaced.fetch_add(1, Ordering::Relaxed);
        let run = Arc::clone(self);
        let loading = thread::Builder::new().name("replacement".into()).spawn(move || run.load_another());
        if loading.is_err() {
            replaced.fetch_sub(1, Ordering::Relaxed);
        }
        loading.is_ok()
    }

    fn load_another(&self) {
        let Shared { replacement, unstopped, metrics, .. } = &*self.shared;
        let [model, version] = metrics.names();
        let load = || replacement.get().map(|load| load());
        let loaded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load));
        match loaded {
            Ok(Some(Ok(instance))) if self.turns(fate::UNSTOPPED, fate::REPLACED) => {
                tracing::info!(
                    model,
                    version,
                    "another instance has the place of the one that does not stop"
                );
                drop(Lease::replacing(&self.shared, self.owner, Box::new(instance)));
                return;
            }
            Ok(Some(Err(error))) => {
                tracing::error!(model, version, error, "an instance that does not stop cannot be replaced");
            }
            // It has ended meanwhile, and its instance is as good as another.
            Ok(_) => {}
            Err(_) => tracing::error!(model, version, "loading another instance panicked"),
        }
        unstopped.replaced.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Going {
    /// Runs them.
    pub(super) fn with_members<R>(&self, run: impl FnOnce(&[Entry<Waiting>]) -> R) -> R {
        run(&self.0.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Some of the members are about to run; nobody else's waiting keeps that going.
    pub(super) fn begin(&self, members: Range<usize>) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        let part = Part { members, stop: Arc::clone(&stop) };
        *self.0.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
        stop
    }

    /// It has ended. Gives back its members, and says whether its instance has been replaced.
    pub(super) fn end(self) -> (Vec<Entry<Waiting>>, bool) {
        self.0.end()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if !self.0.has_ended() {
            drop(self.0.end()); // after a panic
        }
    }
}

impl Run {
    fn end(&self) -> (Vec<Entry<Waiting>>, bool) {
        let fate = self.fate.swap(fate::ENDED, Ordering::AcqRel);
        let Shared { unstopped, metrics, .. } = &*self.shared;
        if fate != fate::GOING {
            unstopped.going.fetch_sub(1, Ordering::Relaxed);
            metrics.runs.unstopped.dec();
            let [model, version] = metrics.names();
            let seconds = self.started.elapsed().as_secs();
            tracing::info!(model, version, seconds, "a run that did not stop has ended");
        }
        if fate == fate::REPLACED {
            unstopped.replaced.fetch_sub(1, Ordering::Relaxed);
        }
        let members = std::mem::take(&mut *self.members.write().unwrap_or_else(PoisonError::into_inner));
        (members, fate == fate::REPLACED)
    }
}

/// A run as the watch knows it.
struct Watched {
    run: Arc<Run>,
    /// What was asked to stop, and when.
    asked: Option<(Arc<Stop>, Instant)>,
    is_replaced: bool,
}

impl Watched {
    /// Whether it goes on.
    fn look(&mut self, now: Instant) -> bool {
        if self.run.has_ended() {
            return false;
        }
        let Some(stop) = self.run.deserted() else { return true };
        match &self.asked {
            Some((asked, since)) if Arc::ptr_eq(asked, &stop) => {
                if now.saturating_duration_since(*since) < GRACE {
                    return true;
                }
                if self.run.fate.load(Ordering::Acquire) == fate::GOING {
                    self.run.does_not_stop();
                }
                if !self.is_replaced {
                    self.is_replaced = self.run.replace();
                }
            }
            _ => {
                stop.ask();
                self.asked = Some((stop, now));
            }
        }
        true
    }
}

/// Watches all runs on instances' own threads, of every model.
static WATCH: LazyLock<Watch> = LazyLock::new(Watch::start);

struct Watch {
    shared: Arc<(Mutex<Arrivals>, Condvar)>,
}

#[derive(Default)]
struct Arrivals {
    runs: Vec<Arc<Run>>,
    /// Whether the watch has nothing to look after, and waits to be woken.
    is_idle: bool,
}

impl Watch {
    fn start() -> Self {
        let shared = Arc::<(Mutex<Arrivals>, Condvar)>::default();
        let own = Arc::clone(&shared);
        let started = thread::Builder::new().name("watch".into()).spawn(move || watch(&own));
        if let Err(error) = started {
            tracing::error!(%error, "runs that nobody waits for are not stopped: the system gives no thread");
        }
        Self { shared }
    }

    fn add(&self, run: Arc<Run>) {
        let (arrivals, more) = &*self.shared;
        let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.runs.push(run);
        if std::mem::take(&mut arrivals.is_idle) {
            more.notify_one();
        }
    }
}

fn watch((arrivals, more): &(Mutex<Arrivals>, Condvar)) {
    let mut runs: Vec<Watched> = Vec::new();
    loop {
        let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        while runs.is_empty() && arrivals.runs.is_empty() {
            arrivals.is_idle = true;
            arrivals = more.wait(arrivals).unwrap_or_else(PoisonError::into_inner);
        }
        arrivals.is_idle = false;
        let new = std::mem::take(&mut arrivals.runs);
        drop(arrivals);
        runs.extend(new.into_iter().map(|run| Watched { run, asked: None, is_replaced: false }));
        thread::park_timeout(TICK);
        let now = Instant::now();
        runs.retain_mut(|run| run.look(now));
    }
}
