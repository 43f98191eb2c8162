//! Running a batch: on which thread, on which session, and what each member receives.

use std::{ops::Range, sync::Arc};

use oip::Tensor;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    gather::RequestInputs,
    instance::Instance,
    lease::{Lease, Shared, Turn, Waiting},
    queue::Entry,
    request::{Answer, deadline_exceeded},
    run_estimate::SizeClass,
    watch::WatchedRun,
};
use crate::{
    error::ServeError,
    executor::{ExecuteError, Fault, Stop},
    telemetry::{BatchRun, BatchTimes},
};

/// One result for each member of a batch that did not succeed as a whole.
type MemberResults = Vec<Result<Answer, ServeError>>;

impl Lease {
    /// Runs a batch on one of three threads: the thread that an instance on a GPU has for all its batches; this one, if
    /// the batch is known to be short; else the instance's thread for long runs. A long run then delays no
    /// other request, and it continues if the leader's task ends.
    pub(super) fn run_batch(mut self, batch: Vec<Entry<Waiting>>) {
        let Some(instance) = self.instance.as_mut() else { return };
        let is_short = || self.shared.estimate.is_short(rows_of(&batch), || size_class_of(&batch));
        if instance.thread().is_none() && is_short() {
            self.run_inline(batch);
            return;
        }
        match instance.long_run_thread() {
            Ok(thread) => thread.run(move || self.run_watched(batch)),
            Err(error) => {
                let failed = || Err(ServeError::internal(format!("the system gives no thread: {error}")));
                send_results(batch, std::iter::repeat_with(failed));
            }
        }
    }

    /// Runs a batch on this thread, without a way to stop it.
    fn run_inline(mut self, batch: Vec<Entry<Waiting>>) {
        let started = Instant::now();
        let members = refuse_expired(batch, started);
        if members.is_empty() {
            return;
        }
        match self.execute(&members, started, |_| None) {
            Ok(answers) => send_results(members, answers.into_iter().map(Ok)),
            Err(results) => send_results(members, results),
        }
    }

    /// Runs a batch on this thread, which belongs to the instance. The watch stops the run when no client waits for
    /// it any more.
    fn run_watched(mut self, batch: Vec<Entry<Waiting>>) {
        let started = Instant::now();
        let members = refuse_expired(batch, started);
        if members.is_empty() {
            return;
        }
        let run = WatchedRun::start(&self.shared, self.instance_lane, members);
        let outcome =
            run.with_members(|members| self.execute(members, started, |part| Some(run.begin_part(part))));
        let (members, is_replaced) = run.end();
        match outcome {
            Ok(answers) => send_results(members, answers.into_iter().map(Ok)),
            Err(results) => send_results(members, results),
        }
        if is_replaced {
            drop(self.instance.take()); // the watch has loaded another instance in its place
        }
    }

    /// Runs the members together, or each of them alone where that fails. `begin_part` is told which members are
    /// about to run, and returns the handle that stops their run.
    fn execute(
        &mut self,
        members: &[Entry<Waiting>],
        started: Instant,
        begin_part: impl Fn(Range<usize>) -> Option<Arc<Stop>>,
    ) -> Result<Vec<Answer>, MemberResults> {
        let Some(instance) = self.instance.as_mut() else { return Err(Vec::new()) };
        for entry in members {
            let waited = started - entry.payload.request.arrived;
            self.shared.metrics.queue_duration.observe(waited.as_secs_f64());
        }
        let stop = begin_part(0..members.len());
        let run = |instance: &mut Instance| run_together(instance, members, started, stop.as_deref());
        let is_alone = || members.len() == 1 && self.shared.lanes.has_one_leader();
        let outcome = match &self.shared.idle_session {
            Some(idle_session) => idle_session.run(instance, is_alone, run),
            None => run(instance),
        };
        match outcome {
            Ok((answers, times)) => {
                self.shared.record_run(members, started, times);
                Ok(answers)
            }
            Err(error) if members.len() == 1 || error.fault == Fault::Stopped => {
                self.shared.record_failure(members, started, &error);
                Err(members.iter().map(|_| Err(client_error(&error))).collect())
            }
            // The values of one member may have made ONNX Runtime fail. Run alone, only that member fails.
            Err(_) => {
                let alone = |(index, entry): (usize, &Entry<Waiting>)| {
                    if entry.payload.turn.is_closed() {
                        return Err(deadline_exceeded()); // its client has gone and receives nothing
                    }
                    let stop = begin_part(index..index + 1);
                    run_alone(&self.shared, instance, entry, stop.as_deref())
                };
                Err(members.iter().enumerate().map(alone).collect())
            }
        }
    }
}

impl Shared {
    /// Counts a run that succeeded, and learns from its time.
    fn record_run(&self, members: &[Entry<Waiting>], started: Instant, times: BatchTimes) {
        let rows = rows_of(members);
        let queued = members.iter().map(|entry| started - entry.payload.request.arrived).sum();
        self.estimate.record(rows, || size_class_of(members), times.total());
        if let Some(clients) = &self.returning_clients {
            clients.record(members.len() + self.lanes.waiting());
        }
        self.metrics.batch_rows.observe(rows as f64);
        self.metrics.compute_duration.observe(times.total().as_secs_f64());
        let requests = members.len();
        self.metrics.statistics.ran(&BatchRun { started: started.into_std(), requests, rows, queued, times });
    }

    /// Counts a run that was stopped, and learns from its time. Does nothing for a run that failed otherwise.
    fn record_failure(&self, members: &[Entry<Waiting>], started: Instant, error: &ExecuteError) {
        if error.fault == Fault::Stopped {
            self.metrics.runs.stopped.inc();
            self.estimate.record(rows_of(members), || size_class_of(members), started.elapsed());
        }
    }
}

/// Keeps the members whose clients still wait. Members whose deadline has passed receive an error.
fn refuse_expired(batch: Vec<Entry<Waiting>>, now: Instant) -> Vec<Entry<Waiting>> {
    let (live, expired): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .filter(|entry| !entry.payload.turn.is_closed())
        .partition(|entry| now < entry.payload.request.deadline);
    send_results(expired, std::iter::repeat_with(|| Err(deadline_exceeded())));
    live
}

/// Sends each member its result.
fn send_results(members: Vec<Entry<Waiting>>, results: impl IntoIterator<Item = Result<Answer, ServeError>>) {
    for (entry, result) in members.into_iter().zip(results) {
        // Fails where the client has gone meanwhile, which is fine.
        let _gone = entry.payload.turn.send(Turn::Answer(result));
    }
}

fn run_together(
    instance: &mut Instance,
    members: &[Entry<Waiting>],
    started: Instant,
    stop: Option<&Stop>,
) -> Result<(Vec<Answer>, BatchTimes), ExecuteError> {
    let inputs: SmallVec<[RequestInputs<'_>; 32]> =
        members.iter().map(|entry| entry.payload.request.inputs()).collect();
    let rows: SmallVec<[usize; 32]> = members.iter().map(|entry| entry.rows).collect();
    instance.run(&inputs, &rows, started, stop)
}

fn run_alone(
    shared: &Shared,
    instance: &mut Instance,
    member: &Entry<Waiting>,
    stop: Option<&Stop>,
) -> Result<Answer, ServeError> {
    let (member, started) = (std::slice::from_ref(member), Instant::now());
    let (mut answers, times) = run_together(instance, member, started, stop).map_err(|error| {
        shared.record_failure(member, started, &error);
        client_error(&error)
    })?;
    shared.record_run(member, started, times);
    answers.pop().ok_or_else(|| ServeError::internal("the model gave no outputs"))
}

/// Converts the error of a run into the error that the client of a member receives.
fn client_error(error: &ExecuteError) -> ServeError {
    match error.fault {
        Fault::Request => ServeError::invalid(format!("the model cannot compute this request: {error}")),
        Fault::Server => ServeError::internal(format!("ONNX Runtime failed: {error}")),
        Fault::Stopped => deadline_exceeded(),
    }
}

/// Returns the rows of all members together.
fn rows_of(members: &[Entry<Waiting>]) -> usize {
    members.iter().map(|entry| entry.rows).sum()
}

/// Returns the size class of the members' inputs together. It is made of each input's bytes, its dimensions but the
/// first, and the positions of the optional inputs. The first dimension follows from the others and the bytes, except
/// for an input without elements: there it counts too.
pub(super) fn size_class_of(members: &[Entry<Waiting>]) -> SizeClass {
    let first = members.first().map(|entry| entry.payload.request.inputs());
    let RequestInputs { tensors, optional } = first.unwrap_or(RequestInputs { tensors: &[], optional: &[] });
    let sizes = tensors.iter().enumerate().flat_map(|(index, tensor)| {
        let of_all = members.iter().map(|entry| &entry.payload.request.inputs[index]);
        let bytes = of_all.clone().map(|tensor| tensor.data.len()).sum();
        let first = (bytes == 0).then(|| of_all.filter_map(Tensor::rows).sum());
        std::iter::once(bytes).chain(first).chain(tensor.shape.0.iter().skip(1).copied())
    });
    SizeClass::of(sizes.chain(optional.iter().copied()))
}
