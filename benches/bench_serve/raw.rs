//! Raw ONNX Runtime: the model alone, on one thread, with nothing before it and nothing after.

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

/// Runs before the measurement: ONNX Runtime plans its memory in the first ones.
const WARM_UP_RUNS: u32 = 20;

/// Runs between looks at the clock.
const RUNS_AT_ONCE: u32 = 10;

/// A model in a session of its own, with one thread.
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

    /// What the model says about these pictures.
    ///
    /// # Errors
    /// ONNX Runtime's own.
    pub(crate) fn answer(&mut self, pictures: Tensor) -> anyhow::Result<Tensor> {
        let mut outputs = Gatherer::default()
            .gather(&[RequestInputs::of(&[pictures])], |batch| self.0.execute(batch, None))?;
        outputs.pop().context("the model has no output")
    }

    /// CPU time of a run on these pictures, in microseconds, as `wall` of running it over and over has it.
    ///
    /// # Errors
    /// ONNX Runtime's own.
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

/// What a run takes where all sessions run the same at once, each on a core of its own, over what `one` takes alone: 1 if
/// cores share nothing that a run needs. A server that is busy on all of them pays that, the limit does not.
///
/// # Errors
/// ONNX Runtime's own.
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

/// CPU time of this thread since it began; with one thread a session, ONNX Runtime works on no other.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
