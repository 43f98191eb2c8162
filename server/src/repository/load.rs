//! From an ONNX file to a model that answers: sessions, signature, warm-up.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    iter,
    path::Path,
    sync::Arc,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use oip::{Datatype, Shape};
use sha2::{Digest, Sha256};

use super::{describe::describe, served::ServedModel};
use crate::{
    batcher::{BatchPolicy, Batcher, Instance},
    config::Device,
    executor::{BatchInput, Executor, OnnxExecutor, Runtime, RuntimeError, SessionOptions},
    model::{Dimension, InstanceGroup, ModelConfig, Signature, TensorSpec},
    telemetry::{Metrics, ModelMetrics},
    validate::Rules,
};

/// Rows that a batch grows to on the CPU where the model's configuration says nothing. More take as long a row, or
/// longer where what is computed leaves the cache, and everyone in the batch waits for all of it.
const CPU_JOINED_ROWS: usize = 16;

/// The same on a GPU, which many rows at once keep busy.
const GPU_JOINED_ROWS: usize = 32;

/// A model larger than this has one instance that uses every thread, instead of an instance a thread.
const LARGE_MODEL_BYTES: u64 = 100 << 20;

/// A row that takes so long is worth another thread; shared among threads, shorter ones take longer in all.
const ROW_WORTH_A_THREAD: Duration = Duration::from_millis(2);

/// Warm-up runs a full batch only where it is expected to take no longer than this.
const LONGEST_WARM_UP: Duration = Duration::from_millis(500);

/// What loading needs beside the model itself.
#[derive(Clone, Debug)]
pub struct Loader {
    /// ONNX Runtime.
    pub runtime: Runtime,
    /// Threads for all models together.
    pub threads: usize,
    /// Rows that may wait for one model.
    pub max_queue_rows: usize,
    /// Where the model's metrics go.
    pub metrics: Metrics,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A fault of this server.
    #[error("loading panicked")]
    Panicked,
    /// ONNX Runtime refuses it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The configuration does not fit the graph.
    #[error("config.toml: {0}")]
    Config(String),
    /// The file is not the one that the configuration names.
    #[error("config.toml: sha256 is {expected}, the file's is {actual}: the file was changed or replaced")]
    Digest {
        /// What the configuration says.
        expected: String,
        /// What the file has.
        actual: String,
    },
}

impl Loader {
    /// Loads the ONNX file at `path` and warms it. `counts` are the metrics of what it replaces: they go on.
    /// Takes long: not for a runtime thread.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        &self,
        name: &str,
        version: &str,
        path: &Path,
        config: &ModelConfig,
        counts: Option<Arc<ModelMetrics>>,
    ) -> Result<ServedModel, LoadError> {
        let started = Instant::now();
        check_digest(path, config)?;
        let (mut count, mut intra_op_threads) = self.instances(path, config)?;
        let mut options = SessionOptions::new(intra_op_threads);
        let (mut first, signature) = OnnxExecutor::load(&self.runtime, path, &options)?;
        let rules = self.rules(signature, config)?;
        let policy = self.policy(&rules, config);
        if count > 1 && config.instance_group == InstanceGroup::default() {
            let mut row = || warm_up(&mut first, &rules.signature, rules.batch_axis, 1);
            (count, intra_op_threads) = shared_out(self.threads, row());
            if intra_op_threads > 1 {
                // Unless it was the machine that took so long.
                (count, intra_op_threads) = shared_out(self.threads, row());
            }
            if intra_op_threads > 1 {
                options = SessionOptions::new(intra_op_threads);
                first = OnnxExecutor::load(&self.runtime, path, &options)?.0;
            }
        }
        let warm = |mut executor| {
            let row = warm_up(&mut executor, &rules.signature, rules.batch_axis, policy.max_joined_rows);
            (executor, row)
        };
        let another = || {
            let (executor, _) = OnnxExecutor::load(&self.runtime, path, &options)?;
            Ok::<_, LoadError>(warm(executor))
        };
        // A thread each: together they take hardly longer than one.
        let (executors, durations): (Vec<_>, Vec<_>) = thread::scope(|scope| {
            let others: Vec<_> = (1..count).map(|_| scope.spawn(another)).collect();
            let first = Ok(warm(first));
            let join = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or(Err(LoadError::Panicked));
            iter::once(first).chain(others.into_iter().map(join)).collect::<Result<_, _>>()
        })?;
        let row_duration = durations.into_iter().max().unwrap_or_default();
        let on_gpu = self.runtime.device() != Device::Cpu;
        let configuration = describe(name, &rules, config, count, on_gpu);
        let metrics = counts.unwrap_or_else(|| self.metrics.model(name, version));
        let instances = executors.into_iter().map(|executor| Instance::new(Box::new(executor))).collect();
        let batcher = Batcher::new(instances, self.threads, policy, row_duration, Arc::clone(&metrics));
        let took = started.elapsed();
        metrics.ready(took);
        tracing::info!(
            model = name,
            version,
            instances = count,
            intra_op_threads,
            batching = rules.batch_axis,
            row_microseconds = row_duration.as_micros(),
            seconds = took.as_secs_f64(),
            "model ready"
        );
        Ok(ServedModel {
            name: name.into(),
            version: version.into(),
            rules,
            labels: config.labels.clone(),
            configuration,
            metrics,
            batcher,
        })
    }

    /// How many sessions, and threads each: together the thread budget, unless the model's file says else.
    fn instances(&self, path: &Path, config: &ModelConfig) -> Result<(usize, usize), LoadError> {
        let group = &config.instance_group;
        let large = path.metadata()?.len() > LARGE_MODEL_BYTES;
        let threads = group.intra_op_threads.unwrap_or(if large { self.threads } else { 1 });
        let count = group.count.unwrap_or_else(|| (self.threads / threads).max(1));
        Ok((count, threads))
    }

    fn rules(&self, signature: Signature, config: &ModelConfig) -> Result<Rules, LoadError> {
        let batch_axis = match config.max_batch_size {
            Some(0) => false,
            Some(size) if !signature.could_batch() => {
                return Err(LoadError::Config(format!(
                    "max_batch_size is {size}, but the graph has an input or output whose first dimension is fixed"
                )));
            }
            Some(_) => true,
            None => signature.has_batch_axis(),
        };
        let max_rows = match config.max_batch_size {
            Some(size) if batch_axis => (size, "max_batch_size of the model's config.toml"),
            Some(_) | None => (self.max_queue_rows, "--max-queue-rows"),
        };
        Ok(Rules { signature, batch_axis, max_rows })
    }

    fn policy(&self, rules: &Rules, config: &ModelConfig) -> BatchPolicy {
        let default = if self.runtime.device() == Device::Cpu { CPU_JOINED_ROWS } else { GPU_JOINED_ROWS };
        let joined = config.max_batch_size.unwrap_or(default.min(self.max_queue_rows));
        BatchPolicy {
            max_joined_rows: if rules.batch_axis { joined } else { 1 },
            max_queue_rows: self.max_queue_rows,
            max_queue_delay: Duration::from_micros(config.dynamic_batching.max_queue_delay_microseconds),
            preferred_batch_size: config.dynamic_batching.preferred_batch_size.clone(),
        }
    }
}

/// How many sessions, and threads each, for a model whose row takes so long on one thread.
fn shared_out(threads: usize, row: Duration) -> (usize, usize) {
    let each = (row.as_nanos() / ROW_WORTH_A_THREAD.as_nanos()) as usize;
    if 2 * each > threads {
        return (1, threads);
    }
    (threads / each.max(1), each.max(1))
}

fn check_digest(path: &Path, config: &ModelConfig) -> Result<(), LoadError> {
    let Some(expected) = &config.sha256 else { return Ok(()) };
    let actual = digest_of(path)?;
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(LoadError::Digest { expected: expected.clone(), actual })
}

fn digest_of(path: &Path) -> std::io::Result<String> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut digest = Sha256::new();
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(format!("{:x}", Bytes::copy_from_slice(&digest.finalize())));
        }
        digest.update(part);
        let length = part.len();
        file.consume(length);
    }
}

/// Runs zeros through the model, one row and then a full batch, so that the first client does not pay
/// for lazy initialisation; returns what a row takes. A model that fails on zeros may well work on data.
fn warm_up(executor: &mut OnnxExecutor, signature: &Signature, batch_axis: bool, full: usize) -> Duration {
    let mut row_duration = Duration::ZERO;
    for rows in [1, 1, full] {
        if row_duration * rows as u32 > LONGEST_WARM_UP {
            break;
        }
        let inputs: Vec<_> = signature.inputs.iter().map(|spec| zeros(spec, batch_axis, rows)).collect();
        let inputs: Vec<BatchInput<'_>> = inputs
            .iter()
            .map(|(datatype, shape, words)| BatchInput {
                datatype: *datatype,
                shape,
                data: &bytemuck::cast_slice(words)[..byte_size(*datatype, shape)],
            })
            .collect();
        let started = Instant::now();
        let run = if rows == full { executor.rehearse(&inputs) } else { executor.execute(&inputs).map(drop) };
        if let Err(error) = run {
            tracing::debug!(%error, "warm-up with zeros failed");
            break;
        }
        row_duration = started.elapsed() / rows as u32;
    }
    row_duration
}

/// A tensor of zeros (or empty strings), its dynamic dimensions 1.
fn zeros(spec: &TensorSpec, batch_axis: bool, rows: usize) -> (Datatype, Shape, Vec<u64>) {
    let size = |dim: &Dimension| match dim {
        Dimension::Fixed(size) => *size,
        Dimension::Dynamic(_) => 1,
    };
    let mut shape = Shape(spec.dims.iter().map(size).collect());
    if batch_axis {
        shape.0[0] = rows;
    }
    let words = byte_size(spec.datatype, &shape).div_ceil(size_of::<u64>());
    (spec.datatype, shape, vec![0; words])
}

/// An empty string is four bytes: its length.
fn byte_size(datatype: Datatype, shape: &Shape) -> usize {
    shape.elements().unwrap_or(0) * datatype.size().unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_get_more_threads_and_few_are_left_over() {
        let shared = |threads, microseconds| shared_out(threads, Duration::from_micros(microseconds));
        assert_eq!(shared(2, 0), (2, 1));
        assert_eq!(shared(2, 100), (2, 1));
        assert_eq!(shared(2, 3_900), (2, 1));
        assert_eq!(shared(2, 8_000), (1, 2));
        assert_eq!(shared(16, 8_000), (4, 4));
        assert_eq!(shared(1, 1_000_000), (1, 1));
        for threads in 1..=64 {
            for milliseconds in 0..200 {
                let (count, each) = shared(threads, milliseconds * 1000);
                assert!(count * each <= threads && threads < (count + 1) * each, "{threads}, {milliseconds}");
            }
        }
    }
}
