//! Runs the load: connections take requests from one schedule, send them and check the responses.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarm,
    check::Checker,
    failure::{Failure, FailureKind},
    recorder::{Recorder, Timing},
    schedule::{Phase, Schedule},
    transport::Transport,
};

/// Pause after a failed connection, so that a stopped server does not cause a busy loop.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// A request that is sent repeatedly, and the checker of its responses.
pub struct Case<R> {
    /// The encoded request.
    pub request: R,
    /// Checks the responses.
    pub checker: Checker,
}

/// The load to run. All connections share it.
pub struct Load<T: Transport> {
    /// Sends the requests.
    pub transport: T,
    /// The requests, sent in turn.
    pub cases: Vec<Case<T::Request>>,
    /// When the requests are due.
    pub schedule: Schedule,
    /// Longest time for a request, from when it is due.
    pub timeout: Duration,
}

/// A run in progress.
pub struct Run<T: Transport> {
    load: Load<T>,
    start: Instant,
    /// Number of the next request, from 0.
    next: AtomicU64,
    /// In a closed loop, the number of measured requests that were started.
    measured: AtomicU64,
    stop: CancellationToken,
}

/// A request that is due now or soon.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    number: u64,
    /// The time from which latency counts.
    due: Instant,
    measured: bool,
}

/// The figures of one thread. Other threads may read them during the run.
pub type SharedRecorder = Arc<Mutex<Recorder>>;

impl<T: Transport> Run<T> {
    /// Creates a run that starts now. It ends by its schedule, or when `stop` is cancelled.
    pub fn new(load: Load<T>, stop: CancellationToken) -> Arc<Self> {
        let (next, measured) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { load, start: Instant::now(), next, measured, stop })
    }

    /// When the run started.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// The schedule of the run.
    pub fn schedule(&self) -> Schedule {
        self.load.schedule
    }

    /// Length of the measurement in a run that ended at `end`.
    pub fn window(&self, end: Instant) -> Duration {
        let Schedule { warmup, duration, requests, .. } = self.load.schedule;
        let measured = (end - self.start).saturating_sub(warmup);
        let ended_early = self.stop.is_cancelled() || requests.is_some();
        match duration {
            // The last responses come after the end of the measurement, and the last request of an open loop is due
            // before it.
            Some(duration) if !ended_early || measured > duration => duration,
            _ => measured,
        }
    }

    /// Runs `connections` connections on this thread until the run ends.
    ///
    /// # Errors
    /// The process has no file descriptors or threads left.
    pub fn work(self: Arc<Self>, connections: usize, recorder: &SharedRecorder) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut workers = JoinSet::new();
            for _ in 0..connections {
                let alarm = Alarm::new().context("no file descriptor left: raise `ulimit -n`")?;
                workers.spawn(Arc::clone(&self).worker(alarm, Arc::clone(recorder)));
            }
            while let Some(ended) = workers.join_next().await {
                ended??;
            }
            Ok(())
        })
    }

    /// The loop of one connection.
    async fn worker(self: Arc<Self>, mut alarm: Alarm, recorder: SharedRecorder) -> Result<()> {
        let mut connection = None;
        while let Some(ticket) = self.ticket() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                woken = alarm.until(ticket.due) => woken?,
            }
            let deadline = ticket.due + self.load.timeout;
            let sent = Instant::now();
            let outcome = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                outcome = self.attempt(&mut connection, ticket.number, deadline) => outcome,
            };
            let is_refused = matches!(&outcome, Err(failure) if failure.kind == FailureKind::Connect);
            self.record(&recorder, ticket, sent, outcome);
            if is_refused {
                alarm.until(Instant::now() + RECONNECT_PAUSE).await?;
            }
        }
        Ok(())
    }

    /// Takes the next request from the schedule. `None` when the run has ended.
    fn ticket(&self) -> Option<Ticket> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let schedule = &self.load.schedule;
        if let Some((due, phase)) = schedule.arrival(number) {
            let due = self.start + due;
            return (phase != Phase::Over).then_some(Ticket {
                number,
                due,
                measured: phase == Phase::Measured,
            });
        }
        let now = Instant::now();
        let measured = match schedule.phase(now - self.start) {
            Phase::Over => return None,
            Phase::Warmup => false,
            Phase::Measured => {
                let before = self.measured.fetch_add(1, Ordering::Relaxed);
                if schedule.requests.is_some_and(|limit| before >= limit) {
                    return None;
                }
                true
            }
        };
        Some(Ticket { number, due: now, measured })
    }

    /// Sends one request and checks its response. Sets `connection` to `None` if it cannot be used again.
    async fn attempt(
        &self,
        connection: &mut Option<T::Connection>,
        number: u64,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let Load { transport, cases, timeout, .. } = &self.load;
        if Instant::now() >= deadline {
            let message = format!("every connection was busy for {timeout:?} after the request was due");
            return Err(Failure::new(FailureKind::NotSent, message));
        }
        let case = &cases[(number % cases.len() as u64) as usize];
        let exchange = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => transport.connect().await?,
            };
            let answer = transport.exchange(&mut open, &case.request).await;
            if answer.as_ref().err().is_none_or(|failure| failure.kind.is_answer()) {
                *connection = Some(open);
            }
            answer
        };
        let answer = tokio::time::timeout_at(deadline.into(), exchange)
            .await
            .map_err(|_| Failure::new(FailureKind::Timeout, format!("no answer within {timeout:?}")))??;
        case.checker
            .check(answer, |answer| transport.decode(answer))
            .map_err(|message| Failure::new(FailureKind::Wrong, message))
    }

    /// Records the result of a request that was sent at `sent` and has just ended.
    fn record(&self, recorder: &SharedRecorder, ticket: Ticket, sent: Instant, outcome: Result<(), Failure>) {
        let now = Instant::now();
        let in_window = self.load.schedule.phase(now - self.start) != Phase::Over;
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) if ticket.measured => {
                let (latency, send_delay) = (now - ticket.due, sent - ticket.due);
                recorder.answered(Timing { latency, send_delay, in_window });
            }
            Ok(()) => {}
            Err(failure) => recorder.failed(failure, ticket.measured),
        }
    }
}

/// Merges the figures of all threads so far.
pub fn merged(recorders: &[SharedRecorder]) -> Recorder {
    let mut all = Recorder::new();
    for recorder in recorders {
        all.merge(&recorder.lock().unwrap_or_else(PoisonError::into_inner));
    }
    all
}
