//! A thread that runs one instance and nothing else.
//!
//! ONNX Runtime's CUDA provider keeps memory, up to gigabytes of the GPU's, for each thread that ever ran a session
//! (<https://github.com/microsoft/onnxruntime/issues/29351>). So a session there has one thread, from its first run on.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// It ends when all its clones are dropped.
#[derive(Clone)]
pub struct InstanceThread {
    jobs: mpsc::Sender<Job>,
}

impl fmt::Debug for InstanceThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceThread").finish_non_exhaustive()
    }
}

impl InstanceThread {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run_all = move || {
            for job in queue {
                // Who waits for it learns of a panic by the channel, which is closed.
                let _panicked = catch_unwind(AssertUnwindSafe(job));
            }
        };
        thread::Builder::new().name("instance".into()).spawn(run_all)?;
        Ok(Self { jobs })
    }

    /// Runs a job when those before it are done.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // It lives as long as this sender does.
        let _ended = self.jobs.send(Box::new(job));
    }

    /// The same for a job with a result; nothing comes of one that panicked.
    pub fn call<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> mpsc::Receiver<R> {
        let (sender, result) = mpsc::sync_channel(1);
        self.run(move || {
            // Nobody may be interested any more.
            let _dropped = sender.send(job());
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_run_on_one_thread_also_after_a_panic() {
        let thread = InstanceThread::start().unwrap();
        let here = |turn| {
            assert_ne!(turn, 1, "this panic is meant");
            thread::current().id()
        };
        let results: Vec<_> = (0..4).map(|turn| thread.call(move || here(turn))).collect();
        let ids: Vec<_> = results.iter().map(|result| result.recv().ok()).collect();
        assert!(ids[0].is_some() && ids[0] != Some(thread::current().id()));
        assert_eq!(ids, [ids[0], None, ids[0], ids[0]]);
    }
}
