//! Runs a model directly in ONNX Runtime, on one thread.

use std::{
    iter,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use decima_server::{
    batcher::gather::{Gatherer, RequestInputs},
    executor::{Executor as _, ModelSource, OnnxExecutor, Runtime, SessionOptions},
};
use oip::Tensor;
use rustix::time::{ClockId, clock_gettime};

/// Runs before the measurement. ONNX Runtime plans its memory in the first ones.
const WARM_UP_RUNS: u32 = 20;

/// Runs between two readings of the clock.
const RUNS_AT_ONCE: u32 = 10;

/// A model in its own session, with one thread.
#[derive(Debug)]
pub(crate) struct Raw(OnnxExecutor);

impl Raw {
    /// Loads the model at `path`.
    ///
    /// # Errors
    /// ONNX Runtime refuses it.
    pub(crate) fn load(runtime: &Runtime, path: &Path) -> anyhow::Result<Self> {
        let (executor, _) =
            OnnxExecutor::load(runtime, &ModelSource::file(path), &SessionOptions::new("", 1))?;
        Ok(Self(executor))
    }

    /// Runs the model on these pictures.
    ///
    /// # Errors
    /// An error of ONNX Runtime.
    pub(crate) fn answer(&mut self, pictures: Tensor) -> anyhow::Result<Tensor> {
        let mut outputs = Gatherer::default()
            .gather(&[RequestInputs::of(&[pictures])], |batch| self.0.execute(batch, None))?;
        outputs.pop().context("the model has no output")
    }

    /// CPU time of one run on these pictures, in microseconds. The model is run repeatedly for `wall`.
    ///
    /// # Errors
    /// An error of ONNX Runtime.
    pub(crate) fn micros(&mut self, pictures: Tensor, wall: Duration) -> anyhow::Result<f64> {
        let executor = &mut self.0;
        Gatherer::default().gather(&[RequestInputs::of(&[pictures])], |batch| {
            let mut run = |count: u32| {
                (0..count).try_for_each(|_| {
                    executor.execute(batch, None).map(drop).map_err(|error| anyhow!("ONNX Runtime: {error}"))
                })
            };
            run(WARM_UP_RUNS)?;
            let (start, before, mut runs) = (Instant::now(), thread_time(), 0);
            while start.elapsed() < wall {
                run(RUNS_AT_ONCE)?;
                runs += RUNS_AT_ONCE;
            }
            Ok(thread_time().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(runs))
        })
    }
}

/// Time of a run while all sessions run at once, each on its own core, divided by `one`, the time of a run alone. It is
/// 1 if the cores do not share anything that a run needs. A server with all cores busy pays this factor, and the limit
/// does not contain it.
///
/// # Errors
/// An error of ONNX Runtime.
pub(crate) fn crowding(
    one: &mut Raw,
    mut others: Vec<Raw>,
    pictures: &Tensor,
    wall: Duration,
) -> anyhow::Result<f64> {
    let alone = one.micros(pictures.clone(), wall)?;
    let together = thread::scope(|scope| {
        let run = |session: &mut Raw| session.micros(pictures.clone(), wall);
        let sessions = iter::once(one).chain(&mut others);
        let runs: Vec<_> = sessions.map(|session| scope.spawn(move || run(session))).collect();
        let join = |run: thread::ScopedJoinHandle<'_, anyhow::Result<f64>>| {
            run.join().map_err(|_| anyhow!("a run panicked"))?
        };
        runs.into_iter().map(join).collect::<anyhow::Result<Vec<f64>>>()
    })?;
    Ok(together.iter().sum::<f64>() / together.len() as f64 / alone)
}

/// CPU time of this thread. A session with one thread computes on the calling thread only.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
