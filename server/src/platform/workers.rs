//! Threads that serve, each with a runtime of its own: a connection stays on the one that it was given to.
//!
//! On a runtime that all threads share, a connection moves to whichever thread looks at the sockets next, and with
//! it everything that its requests touch. Between cores that do not share a cache that cost half as much again as
//! the work itself.

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

/// Period of the timer that each worker keeps armed. It is shorter than the usual timeout of a request, and long enough
/// that an idle server takes no CPU time.
const TICK: Duration = Duration::from_secs(5);

thread_local! {
    static CURRENT: OnceCell<CurrentWorker> = const { OnceCell::new() };
}

/// The worker whose thread this is.
#[derive(Clone, Debug)]
pub struct CurrentWorker {
    /// Its index, from 0.
    pub index: usize,
    /// All workers.
    pub workers: Workers,
}

/// Every worker.
#[derive(Clone, Default)]
pub struct Workers(Arc<[Worker]>);

struct Worker {
    runtime: Handle,
    state: Arc<State>,
}

/// What others may know of a worker.
#[derive(Debug, Default)]
struct State {
    /// Whether it waits for something to do.
    idle: AtomicBool,
    /// Tasks that it was given, and has not finished.
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
                runtime.block_on(keep_a_timer());
            })?;
        }
        Ok(workers)
    }

    /// Gives a task to the worker that has the fewest, or to the runtime of this thread where there are no workers.
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

    /// Gives a task to a worker, however much that has to do.
    pub fn spawn_on(&self, index: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.0[index].runtime.spawn(task);
    }

    /// The workers that wait for something to do.
    pub fn idle(&self) -> impl Iterator<Item = usize> {
        let workers = self.0.iter().enumerate();
        workers.filter(|(_, worker)| worker.state.idle.load(Ordering::Relaxed)).map(|(index, _)| index)
    }
}

/// A task that a worker has not finished.
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

/// Keeps a timer armed that is due before those of requests. Where none is, the runtime wakes itself, by a system call
/// and a round of every socket, each time that a request arms one.
async fn keep_a_timer() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

/// Calls `action` with the worker of this thread, or with `None` if the thread belongs to no worker.
pub fn with_current<T>(action: impl FnOnce(Option<&CurrentWorker>) -> T) -> T {
    CURRENT.with(|cell| action(cell.get()))
}

/// Whether to decode so many bytes of text, which are read one by one, and so many of tensors, which are looked at at
/// most, would keep a worker's other connections waiting: some 2 ms.
pub fn is_long_to_decode(text: usize, tensors: usize) -> bool {
    text + tensors / 8 > 512 << 10
}

/// Runs work on a thread for blocking work, so that it does not delay the worker's other connections.
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
    fn tasks_are_shared_out_and_stay_where_they_are() {
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
    fn who_has_something_to_do_is_not_idle() {
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
