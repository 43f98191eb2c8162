//! Running a batch: where, with what, and what its members are told.

use std::ops::Range;

use oip::Tensor;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    Answer, Instance, Shared, Turn, Waiting, expired, gather::RequestInputs, leader::Lease, queue::Entry,
    run_estimate::Size, watch::Run,
};
use crate::{
    error::ServeError,
    executor::{ExecuteError, Fault, Stop},
    telemetry::BatchTimes,
};

/// What a batch gives where it did not succeed as a whole: an answer or an error for each member.
type Apiece = Vec<Result<Answer, ServeError>>;

impl Lease {
    /// Runs a batch on its instance's thread if that has one for all its batches, else here if the batch is known to be
    /// short, else on the thread that the instance has for long ones, so that it holds nobody else up and outlives this task.
    pub(super) fn run_where_it_fits(mut self, batch: Vec<Entry<Waiting>>) {
        let Some(instance) = self.instance.as_mut() else { return };
        if instance.thread().is_none()
            && self.shared.run_estimate.is_short(rows_of(&batch), || size_of(&batch))
        {
            self.run_here(batch);
            return;
        }
        match instance.thread_apart() {
            Ok(thread) => thread.run(move || self.run_apart(batch)),
            Err(error) => {
                let failed = || Err(ServeError::internal(format!("the system gives no thread: {error}")));
                answer_all(batch, std::iter::repeat_with(failed));
            }
        }
    }

    fn run_here(mut self, batch: Vec<Entry<Waiting>>) {
        let started = Instant::now();
        let live = drop_the_late(batch, started);
        if live.is_empty() {
            return;
        }
        match self.run(&live, started, |_| None) {
            Ok(answers) => answer_all(live, answers.into_iter().map(Ok)),
            Err(answers) => answer_all(live, answers),
        }
    }

    /// Runs it watched: it is stopped when nobody waits for it any more.
    fn run_apart(mut self, batch: Vec<Entry<Waiting>>) {
        let started = Instant::now();
        let live = drop_the_late(batch, started);
        if live.is_empty() {
            return;
        }
        let run = Run::watched(&self.shared, self.owner, live);
        let answers = run.with_members(|live| self.run(live, started, |members| Some(run.begin(members))));
        let (live, is_replaced) = run.end();
        match answers {
            Ok(answers) => answer_all(live, answers.into_iter().map(Ok)),
            Err(answers) => answer_all(live, answers),
        }
        if is_replaced {
            drop(self.instance.take()); // another was loaded in its place
        }
    }

    /// Runs the members together, or each alone where that fails. `begin` gives the stop of a run of some of them.
    fn run(
        &mut self,
        live: &[Entry<Waiting>],
        started: Instant,
        begin: impl Fn(Range<usize>) -> Option<std::sync::Arc<Stop>>,
    ) -> Result<Vec<Answer>, Apiece> {
        let Some(instance) = self.instance.as_mut() else { return Err(Vec::new()) };
        for entry in live {
            let waited = started - entry.payload.work.arrived;
            self.shared.metrics.queue_duration.observe(waited.as_secs_f64());
        }
        let stop = begin(0..live.len());
        let run = |instance: &mut Instance| run_together(instance, live, started, stop.as_deref());
        let is_alone = || live.len() == 1 && self.shared.lanes.has_one_leader();
        let outcome = match &self.shared.idle_session {
            Some(idle_session) => idle_session.run(instance, is_alone, run),
            None => run(instance),
        };
        match outcome {
            Ok((answers, times)) => {
                self.shared.ran(live, started, times);
                Ok(answers)
            }
            Err(error) if live.len() == 1 || error.fault == Fault::Stopped => {
                self.shared.failed(live, started, &error);
                Err(live.iter().map(|_| Err(told(&error))).collect())
            }
            // One request's values may be what ONNX Runtime fails on: alone, it fails alone.
            Err(_) => {
                let alone = |(index, entry): (usize, &Entry<Waiting>)| {
                    if entry.payload.turn.is_closed() {
                        return Err(expired()); // nobody hears it
                    }
                    let stop = begin(index..index + 1);
                    run_alone(&self.shared, instance, entry, stop.as_deref())
                };
                Err(live.iter().enumerate().map(alone).collect())
            }
        }
    }
}

/// Keeps the entries that somebody still waits for; tells the late ones that they are late.
fn drop_the_late(batch: Vec<Entry<Waiting>>, now: Instant) -> Vec<Entry<Waiting>> {
    let (live, late): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .filter(|entry| !entry.payload.turn.is_closed())
        .partition(|entry| now < entry.payload.work.deadline);
    answer_all(late, std::iter::repeat_with(|| Err(expired())));
    live
}

fn answer_all(entries: Vec<Entry<Waiting>>, answers: impl IntoIterator<Item = Result<Answer, ServeError>>) {
    for (entry, answer) in entries.into_iter().zip(answers) {
        // Nobody listens where the client went away meanwhile.
        let _gone = entry.payload.turn.send(Turn::Answer(answer));
    }
}

fn run_together(
    instance: &mut Instance,
    entries: &[Entry<Waiting>],
    started: Instant,
    stop: Option<&Stop>,
) -> Result<(Vec<Answer>, BatchTimes), ExecuteError> {
    let inputs: SmallVec<[RequestInputs<'_>; 32]> =
        entries.iter().map(|entry| entry.payload.work.inputs()).collect();
    let rows: SmallVec<[usize; 32]> = entries.iter().map(|entry| entry.rows).collect();
    instance.run(&inputs, &rows, started, stop)
}

fn run_alone(
    shared: &Shared,
    instance: &mut Instance,
    entry: &Entry<Waiting>,
    stop: Option<&Stop>,
) -> Result<Answer, ServeError> {
    let (entry, started) = (std::slice::from_ref(entry), Instant::now());
    let (mut answers, times) = run_together(instance, entry, started, stop).map_err(|error| {
        shared.failed(entry, started, &error);
        told(&error)
    })?;
    shared.ran(entry, started, times);
    answers.pop().ok_or_else(|| ServeError::internal("the model gave no outputs"))
}

/// What a member is told of a run that failed.
fn told(error: &ExecuteError) -> ServeError {
    match error.fault {
        Fault::Request => ServeError::invalid(format!("the model cannot compute this request: {error}")),
        Fault::Server => ServeError::internal(format!("ONNX Runtime failed: {error}")),
        Fault::Stopped => expired(),
    }
}

/// Rows of all of them.
pub(super) fn rows_of(entries: &[Entry<Waiting>]) -> usize {
    entries.iter().map(|entry| entry.rows).sum()
}

/// How large the inputs of all of them are together, and which optional ones there are. First dimensions are left out where
/// they follow from the bytes and the other dimensions: all but those of inputs without elements.
pub(super) fn size_of(entries: &[Entry<Waiting>]) -> Size {
    let first = entries.first().map(|entry| entry.payload.work.inputs());
    let RequestInputs { tensors, optional } = first.unwrap_or(RequestInputs { tensors: &[], optional: &[] });
    let sizes = tensors.iter().enumerate().flat_map(|(index, tensor)| {
        let of_all = entries.iter().map(|entry| &entry.payload.work.inputs[index]);
        let bytes = of_all.clone().map(|tensor| tensor.data.len()).sum();
        let first = (bytes == 0).then(|| of_all.filter_map(Tensor::rows).sum());
        std::iter::once(bytes).chain(first).chain(tensor.shape.0.iter().skip(1).copied())
    });
    Size::of(sizes.chain(optional.iter().copied()))
}
