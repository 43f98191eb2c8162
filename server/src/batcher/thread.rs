//! A thread that runs the batches of one instance and nothing else.
//!
//! ONNX Runtime's CUDA provider keeps GPU memory, up to gigabytes, for each thread that has ever run a session
//! (<https://github.com/microsoft/onnxruntime/issues/29351>). So a session on a GPU is run by one thread from its
//! first run on.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the thread, which ends when all clones of the handle are dropped.
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
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a new thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run_all = move || {
            for job in queue {
                // A panic drops the job's sender, so whoever waits for its result sees a closed channel.
                let _panicked = catch_unwind(AssertUnwindSafe(job));
            }
        };
        thread::Builder::new().name("instance".into()).spawn(run_all)?;
        Ok(Self { jobs })
    }

    /// Runs a job after those that were given before.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // Cannot fail: the thread lives as long as this sender.
        let _ended = self.jobs.send(Box::new(job));
    }

    /// Runs a job with a result. The channel is closed without one if the job panics.
    pub fn call<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> mpsc::Receiver<R> {
        let (sender, result) = mpsc::sync_channel(1);
        self.run(move || {
            // Fails where the caller has dropped the receiver.
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
        let job = |turn| {
            assert_ne!(turn, 1, "this panic is meant");
            thread::current().id()
        };
        let results: Vec<_> = (0..4).map(|turn| thread.call(move || job(turn))).collect();
        let ids: Vec<_> = results.iter().map(|result| result.recv().ok()).collect();
        assert!(ids[0].is_some() && ids[0] != Some(thread::current().id()));
        assert_eq!(ids, [ids[0], None, ids[0], ids[0]]);
    }
}
