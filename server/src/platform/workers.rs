//! The threads that serve requests, each with a tokio runtime of its own. A connection stays on the thread that it was
//! given to.
//!
//! On a runtime that all threads share, a connection moves to whichever thread polls the sockets next. All memory that
//! its requests touch moves with it, from the cache of one core to that of another, which is a large part of the cost
//! of a short request.

use std::{
    cell::OnceCell,
    fmt,
    future::Future,
    io,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    task::spawn_blocking,
};

/// Period of the timer that each worker keeps armed. It is shorter than the default timeout of a request, and long
/// enough that an idle server takes no noticeable CPU time.
const TICK: Duration = Duration::from_secs(5);

thread_local! {
    static CURRENT: OnceCell<CurrentWorker> = const { OnceCell::new() };
}

/// The worker that owns the current thread.
#[derive(Clone, Debug)]
pub struct CurrentWorker {
    /// Its index, from 0.
    pub index: usize,
    /// All workers.
    pub workers: Workers,
}

/// Handles of all workers.
#[derive(Clone, Default)]
pub struct Workers(Arc<[Worker]>);

struct Worker {
    runtime: Handle,
    state: Arc<State>,
}

/// The state of a worker that other threads read.
#[derive(Debug, Default)]
struct State {
    /// Whether its thread waits for work.
    idle: AtomicBool,
    /// Tasks that were given to it and have not finished.
    tasks: AtomicUsize,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workers").field(&self.0.len()).finish()
    }
}

impl Workers {
    /// Starts `count` workers. They end with the process.
    ///
    /// # Errors
    /// The system has no more threads or files.
    pub fn start(count: usize) -> io::Result<Self> {
        let started = (0..count).map(|index| {
            let state = Arc::new(State::default());
            let (parked, unparked) = (Arc::clone(&state), Arc::clone(&state));
            let runtime = Builder::new_current_thread()
                .enable_all()
                .thread_name(format!("decima-{index}-long"))
                .on_thread_park(move || parked.idle.store(true, Ordering::Relaxed))
                .on_thread_unpark(move || unparked.idle.store(false, Ordering::Relaxed))
                .build()?;
            Ok((Worker { runtime: runtime.handle().clone(), state }, runtime))
        });
        let (workers, runtimes): (Vec<_>, Vec<_>) =
            started.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
        let workers = Self(workers.into());
        for (index, runtime) in runtimes.into_iter().enumerate() {
            let current = CurrentWorker { index, workers: workers.clone() };
            thread::Builder::new().name(format!("decima-{index}")).spawn(move || {
                CURRENT.with(|cell| cell.set(current)).expect("the thread is new");
                runtime.block_on(keep_timer_armed());
            })?;
        }
        Ok(workers)
    }

    /// Gives a task to the worker with the fewest tasks. If there are no workers, the runtime of this thread takes it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let tasks = |worker: &&Worker| worker.state.tasks.load(Ordering::Relaxed);
        let Some(worker) = self.0.iter().min_by_key(tasks) else {
            tokio::spawn(task);
            return;
        };
        let counted = Counted::new(&worker.state);
        worker.runtime.spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    /// Gives a task to the worker with this index, however busy it is.
    pub fn spawn_on(&self, index: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.0[index].runtime.spawn(task);
    }

    /// Returns the indices of the workers that wait for work.
    pub fn idle(&self) -> impl Iterator<Item = usize> {
        let workers = self.0.iter().enumerate();
        workers.filter(|(_, worker)| worker.state.idle.load(Ordering::Relaxed)).map(|(index, _)| index)
    }
}

/// Counts a task of a worker until it is dropped.
struct Counted(Arc<State>);

impl Counted {
    fn new(state: &Arc<State>) -> Self {
        state.tasks.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps a timer armed that is due before the timers of requests. Whenever a request arms the earliest timer of the
/// runtime, tokio wakes its own thread, with a system call and a poll of all sockets. With this timer, a request's
/// timer is hardly ever the earliest.
async fn keep_timer_armed() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

/// Calls `action` with the worker of this thread, or with `None` if the thread belongs to no worker.
pub fn with_current<T>(action: impl FnOnce(Option<&CurrentWorker>) -> T) -> T {
    CURRENT.with(|cell| action(cell.get()))
}

/// Whether decoding would keep a worker's other connections waiting for longer than about 2 ms. `text` bytes are parsed
/// one by one. `tensors` bytes are copied or checked at most, so eight of them count as one.
pub fn is_long_to_decode(text: usize, tensors: usize) -> bool {
    text + tensors / 8 > 512 << 10
}

/// Runs `work` on a thread for blocking work, so that it does not delay the worker's other connections.
///
/// # Panics
/// The work panics.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn index() -> usize {
        with_current(|current| current.expect("a worker's thread").index)
    }

    #[test]
    fn tasks_are_spread_evenly_and_stay_on_their_worker() {
        let workers = Workers::start(3).unwrap();
        let (sender, receiver) = mpsc::channel();
        for _ in 0..9 {
            let sender = sender.clone();
            workers.spawn(async move {
                let before = index();
                tokio::time::sleep(Duration::from_millis(20)).await;
                sender.send((before, index())).unwrap();
                std::future::pending::<()>().await;
            });
        }
        let mut seen = [0; 3];
        for _ in 0..9 {
            let (before, after) = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
            assert_eq!(before, after);
            seen[before] += 1;
        }
        assert_eq!(seen, [3, 3, 3]);
    }

    #[test]
    fn a_busy_worker_is_not_idle() {
        let workers = Workers::start(2).unwrap();
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
        workers.spawn_on(1, async move {
            begin.send(index()).unwrap();
            ended.recv().unwrap(); // keeps the thread
        });
        assert_eq!(begun.recv_timeout(Duration::from_secs(30)).unwrap(), 1);
        assert!(workers.idle().all(|index| index != 1));
        end.send(()).unwrap();
        while workers.idle().count() < 2 {
            thread::yield_now();
        }
    }

    #[tokio::test]
    #[should_panic(expected = "a fault of the work")]
    async fn a_panic_of_blocking_work_reaches_its_caller() {
        run_blocking(|| panic!("a fault of the work")).await;
    }
}
