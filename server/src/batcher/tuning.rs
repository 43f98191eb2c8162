//! The batcher's adaptive policies, and every constant of them: what it is, its unit, and why it has that value.
//!
//! | policy | what it adapts | switched off |
//! |---|---|---|
//! | lanes and helpers | which instance runs a batch: each worker has a lane, borrows from others, and helps them | one lane |
//! | join probe | whether a leader yields to the runtime, so that others can join its batch | no lane has a probe |
//! | yield policy | whether a leader that waits yields its core to other processes | no leader waits so |
//! | returning clients | whether a leader waits for the clients of the previous batch | the model has no such wait |
//! | idle session | whether a client that is alone runs on a session of more threads | the model has no such session |
//! | run estimate | whether a batch is short enough for a worker's thread | every run has its instance's thread |
//!
//! `--batching static` switches all of them off: the batcher is built by [`Policies`], without the others.
//!
//! `make bench-serve` measures their effect on throughput and latency. Settings that an operator can change are in
//! `config/setting.rs` and in a model's `config.toml`, not here.

use std::time::Duration;

/// Which adaptive policies act for one model. A batcher is built without those that do not, so that no request asks.
///
/// Two of the six have no field. The yield policy acts only while a leader probes or waits for returning clients. The
/// idle session acts where the batcher is given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Lanes that the instances are shared out among. With 1, all workers share one queue and all instances, so no
    /// worker borrows an instance or helps another.
    pub lanes: usize,
    /// Whether leaders probe for more requests.
    pub join_probe: bool,
    /// Whether leaders wait for the clients of the previous batch.
    pub returning_clients: bool,
    /// Whether estimated run times decide on which thread a batch runs.
    pub run_estimate: bool,
}

impl Policies {
    /// No policy acts.
    pub const STATIC: Self =
        Self { lanes: 1, join_probe: false, returning_clients: false, run_estimate: false };

    /// All policies act, over this many lanes and with or without the wait for returning clients.
    pub const fn adaptive(lanes: usize, returning_clients: bool) -> Self {
        Self { lanes, join_probe: true, returning_clients, run_estimate: true }
    }
}

// Lanes and helpers

/// Run time that a leader hands to each idle worker at least. Waking a worker costs about a tenth of it.
pub(super) const HELPER_RUN_TIME: Duration = Duration::from_micros(50);

// Join probe: yielding to the runtime, so that other connections can add their rows to a batch

/// Consecutive empty polls after which the leader stops waiting. The first poll may only start the tasks of HTTP/2
/// streams. The next two take less time than a busy client needs to send its next request.
pub(super) const EMPTY_POLLS: u32 = 3;

/// Estimated cost of one probe: the runtime polls every socket of the worker.
pub(super) const PROBE_COST: Duration = Duration::from_micros(4);

/// Fixed cost of one run of a model: forming the batch, calling ONNX Runtime, and counting the run. Each request that
/// joins a batch saves this once.
pub(super) const RUN_OVERHEAD: Duration = Duration::from_micros(3);

/// A run costs one row's time divided by this, whatever its number of rows. A request that joins a batch saves that
/// cost.
pub(super) const RUN_SHARE_OF_ROW: u32 = 5;

/// What probes must save, in percent of their cost, so that leaders go on probing. It is below 100 since switching
/// between probing and not probing takes longer than staying with either.
pub(super) const KEEP_PROBING_PERCENT: u128 = 80;

/// Batches of each [`PROBE_PERIOD`] whose leader probes although probing does not pay, to find out whether it has
/// begun to pay.
pub(super) const TRIAL_PROBES: u32 = 16;

/// Length of the probing period, in batches. Probing 16 of 512 batches keeps the cost of the trials near 3 % of the
/// cost of always probing.
pub(super) const PROBE_PERIOD: u32 = 512;

/// Length of the moving average of requests that join, in probes: the newest probe counts for one sixteenth of it.
/// It follows a change of load within a few batches, and one lucky probe does not decide alone.
pub(super) const PROBE_AVERAGE_LENGTH: u32 = 16;

// Yield policy: yielding the core to other processes, such as a client on the same machine

/// Duration from which a yield counts as slow. A client needs less to send some hundred requests. A process that
/// keeps the core for longer is busy with something else.
pub(super) const SLOW_YIELD: Duration = Duration::from_millis(1);

/// After a slow yield, skip yielding for this multiple of its duration. The multiple doubles with each further slow
/// yield (exponential back-off).
pub(super) const YIELD_BACKOFF: u32 = 4;

/// Most doublings of [`YIELD_BACKOFF`]. The pause is then 256 times the yield, so that yielding costs less than 1 %
/// of the time beside a process that never sleeps.
pub(super) const MAX_YIELD_DOUBLINGS: u32 = 6;

/// Fast yields that cancel the back-off of one slow yield. A process that is slow now and then is then forgotten
/// quickly, and one that never sleeps is not.
pub(super) const FAST_YIELDS_PER_SLOW: u32 = 8;

// Returning clients: waiting for the clients of the previous batch

/// Divisor of a row's time. The result is the longest wait for the next returning client, so a wait in vain costs about
/// 6 % of a row.
pub(super) const RETURN_WAIT_SHARE_OF_ROW: u32 = 16;

/// Least value of that longest wait: the time in which a client on the same machine reads an answer and sends its next
/// request.
pub(super) const MIN_RETURN_WAIT: Duration = Duration::from_micros(100);

// Idle session: more threads for a client that is alone

/// Consecutive runs without any other request in the model before the next one uses the idle session. Of two clients
/// whose runs end together, the later one looks alone. It rarely does so this often in a row.
pub(super) const LONE_RUNS: u32 = 4;

// Run estimate: whether a batch may run on a worker's thread

/// Longest run on a worker's thread. A longer run would delay health probes and the worker's other connections.
pub(super) const MAX_INLINE_RUN: Duration = Duration::from_millis(4);

/// Ratio between the times of two runs in one size class. Sizes in a class differ by a factor of at most the square
/// root of two, and run time may grow with the square of the size.
pub(super) const SIZE_CLASS_SPREAD: u32 = 2;

/// Size classes whose run time is remembered per model: a table of 2 KiB. A class that is overwritten is learned
/// again.
pub(super) const SIZE_CLASSES: usize = 256;

/// Length of the moving average of run times, in runs: the newest run counts for one eighth of it.
/// It follows a change within a few runs, and one slow run does not decide alone.
pub(super) const RUN_TIME_AVERAGE_LENGTH: u64 = 8;

// Watch: stopping runs whose clients have gone

/// Interval at which the watch thread checks who still waits for each run. It is short beside the runs that matter here,
/// which last seconds, and long enough to cost no noticeable CPU time.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Time that a run has to end after it was told to stop. ONNX Runtime checks for it between two operators only, so a
/// run that needs longer is inside an operator that may never return.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(2);

/// Runs of one model that do not stop, from which the model reports itself as not ready. Each of them keeps its
/// threads busy and its memory allocated. The instances of all but the last of them are replaced.
pub(super) const MAX_UNSTOPPED_RUNS: usize = 4;

// Gathering

/// Largest buffer that an instance keeps for its next batch, in words of 8 bytes: 1 MiB. A larger buffer is freed
/// after the batch, so that one large request does not occupy its memory forever.
pub(super) const MAX_KEPT_BUFFER_WORDS: usize = 1 << 17;
