//! Counts and times of each version of a model, for the statistics extension.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use oip::{BatchStatistics, Durations, InferenceStatistics, ModelStatistics};

/// Most batch sizes with statistics of their own. Further sizes count in the totals only.
const MOST_BATCH_SIZES: usize = 128;

/// The time of one batch, by step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// Joining the inputs.
    pub input: Duration,
    /// Running the model.
    pub infer: Duration,
    /// Splitting the outputs.
    pub output: Duration,
}

impl BatchTimes {
    /// Returns the sum of all steps.
    pub fn total(&self) -> Duration {
        self.input + self.infer + self.output
    }
}

/// One run that succeeded.
#[derive(Clone, Copy, Debug)]
pub struct BatchRun {
    /// When it began.
    pub started: Instant,
    /// Requests in it.
    pub requests: usize,
    /// Rows of these requests.
    pub rows: usize,
    /// Time that its requests had waited in the queue, added up.
    pub queued: Duration,
    /// Its time, by step.
    pub times: BatchTimes,
}

/// Counts of one version of a model. A request adds to two atomic numbers; a batch takes one lock.
#[derive(Debug)]
pub struct Statistics {
    /// The same moment on both clocks, to convert times of runs to dates.
    epoch: (Instant, SystemTime),
    succeeded: Total,
    failed: Total,
    batches: Mutex<Batches>,
}

/// A [`Durations`] that requests update without a lock.
#[derive(Debug, Default)]
struct Total {
    count: AtomicU64,
    ns: AtomicU64,
}

impl Total {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    fn read(&self) -> Durations {
        Durations { count: self.count.load(Ordering::Relaxed), ns: self.ns.load(Ordering::Relaxed) }
    }
}

#[derive(Debug, Default)]
struct Batches {
    last: Option<Instant>,
    rows: u64,
    runs: u64,
    queue: Durations,
    /// Times by request: the times of a batch count once for each of its requests.
    compute: Compute,
    by_size: BTreeMap<usize, Compute>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Compute {
    input: Durations,
    infer: Durations,
    output: Durations,
}

impl Compute {
    fn add(&mut self, count: u64, times: &BatchTimes) {
        add(&mut self.input, count, times.input * count as u32);
        add(&mut self.infer, count, times.infer * count as u32);
        add(&mut self.output, count, times.output * count as u32);
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            epoch: (Instant::now(), SystemTime::now()),
            succeeded: Total::default(),
            failed: Total::default(),
            batches: Mutex::default(),
        }
    }
}

impl Statistics {
    /// Counts a request that succeeded or failed after `took`.
    pub fn answered(&self, success: bool, took: Duration) {
        if success { &self.succeeded } else { &self.failed }.add(took);
    }

    /// Counts a run that succeeded.
    pub fn ran(&self, run: &BatchRun) {
        let mut batches = self.batches();
        let requests = run.requests as u64;
        batches.last = Some(run.started);
        batches.rows += run.rows as u64;
        batches.runs += 1;
        add(&mut batches.queue, requests, run.queued);
        batches.compute.add(requests, &run.times);
        if batches.by_size.len() < MOST_BATCH_SIZES || batches.by_size.contains_key(&run.rows) {
            batches.by_size.entry(run.rows).or_default().add(1, &run.times);
        }
    }

    /// Returns the counts, for the model and version with these names.
    pub fn report(&self, name: &str, version: &str) -> ModelStatistics {
        let batches = self.batches();
        let compute = batches.compute;
        let of_size = |(&rows, compute): (&usize, &Compute)| BatchStatistics {
            batch_size: rows as u64,
            compute_input: compute.input,
            compute_infer: compute.infer,
            compute_output: compute.output,
        };
        ModelStatistics {
            name: name.to_owned(),
            version: version.to_owned(),
            last_inference: batches.last.map_or(0, |last| self.since_1970(last)),
            inference_count: batches.rows,
            execution_count: batches.runs,
            inference_stats: InferenceStatistics {
                success: self.succeeded.read(),
                fail: self.failed.read(),
                queue: batches.queue,
                compute_input: compute.input,
                compute_infer: compute.infer,
                compute_output: compute.output,
                cache_hit: Durations::default(),
                cache_miss: Durations::default(),
            },
            batch_stats: batches.by_size.iter().map(of_size).collect(),
            ..ModelStatistics::default()
        }
    }

    /// Converts a moment to milliseconds since 1970.
    fn since_1970(&self, moment: Instant) -> u64 {
        let (instant, time) = self.epoch;
        let time = time + moment.saturating_duration_since(instant);
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        // A poisoned lock is harmless: only an allocation can panic while it is held.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(durations: &mut Durations, count: u64, took: Duration) {
    durations.count += count;
    durations.ns += nanoseconds(took);
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(requests: usize, rows: usize) -> BatchRun {
        let times = BatchTimes {
            input: Duration::from_nanos(1),
            infer: Duration::from_nanos(20),
            output: Duration::from_nanos(3),
        };
        let queued = Duration::from_nanos(100);
        BatchRun { started: Instant::now(), requests, rows, queued, times }
    }

    #[test]
    fn a_batch_counts_once_by_size_and_once_for_each_of_its_requests() {
        let statistics = Statistics::default();
        statistics.ran(&run(3, 8));
        statistics.ran(&run(1, 8));
        statistics.ran(&run(1, 2));
        statistics.answered(true, Duration::from_nanos(50));
        statistics.answered(false, Duration::from_nanos(7));
        let report = statistics.report("m", "4");
        assert_eq!((report.name.as_str(), report.version.as_str()), ("m", "4"));
        assert_eq!((report.inference_count, report.execution_count), (18, 3));
        let by_request = report.inference_stats;
        assert_eq!(by_request.success, Durations { count: 1, ns: 50 });
        assert_eq!(by_request.fail, Durations { count: 1, ns: 7 });
        assert_eq!(by_request.queue, Durations { count: 5, ns: 300 });
        assert_eq!(by_request.compute_infer, Durations { count: 5, ns: 100 });
        let sizes: Vec<_> =
            report.batch_stats.iter().map(|size| (size.batch_size, size.compute_input)).collect();
        assert_eq!(sizes, [(2, Durations { count: 1, ns: 1 }), (8, Durations { count: 2, ns: 2 })]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(now - report.last_inference < 60_000, "{}", report.last_inference);
    }

    #[test]
    fn the_number_of_batch_sizes_is_bounded() {
        let statistics = Statistics::default();
        for rows in 1..=1000 {
            statistics.ran(&run(1, rows));
        }
        statistics.ran(&run(1, 5));
        let report = statistics.report("m", "1");
        assert_eq!(report.batch_stats.len(), MOST_BATCH_SIZES);
        assert_eq!(report.batch_stats[4].compute_infer.count, 2);
        assert_eq!(report.execution_count, 1001);
    }
}
