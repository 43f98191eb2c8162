//! From an ONNX file to a model that answers: digest, signature, rules, sessions.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    describe::describe,
    error::LoadError,
    plan::{self, Plan},
    served::ServedModel,
    sessions::{Sessions, WarmUp},
};
use crate::{
    batcher::{BatchPolicy, Batcher, Instance},
    config::Device,
    executor::{OnnxExecutor, Runtime, SessionOptions},
    model::{InstanceGroup, ModelConfig, Signature},
    telemetry::{Metrics, ModelMetrics},
    validate::Rules,
};

/// Rows that a batch grows to on a GPU, which many at once keep busy, where the model's configuration says nothing.
const GPU_JOINED_ROWS: usize = 32;

/// A model larger than this has one instance that uses every thread, instead of an instance a thread.
const LARGE_MODEL_BYTES: u64 = 100 << 20;

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
        let mut plan = self.plan(path, config)?;
        let mut options = SessionOptions::new(plan.intra_op_threads);
        let (mut first, signature) = OnnxExecutor::load(&self.runtime, path, &options)?;
        let rules = self.rules(signature, config)?;
        let on_gpu = self.runtime.device() != Device::Cpu;
        let warm_up = WarmUp { signature: &rules.signature, batch_axis: rules.batch_axis };
        let time = warm_up.time(&mut first, if on_gpu { 1 } else { rules.max_rows.0 });
        if plan.count > 1 && config.instance_group == InstanceGroup::default() {
            plan = Plan::for_run(self.threads, time);
            if on_gpu {
                plan.solo_threads = 0;
            }
            if plan.intra_op_threads > 1 {
                options = options.with_threads(plan.intra_op_threads);
                first = OnnxExecutor::load(&self.runtime, path, &options)?.0;
            }
        }
        let policy =
            self.policy(&rules, config, if on_gpu { GPU_JOINED_ROWS } else { plan::joined_rows(time) });
        let joined_rows = policy.max_joined_rows;
        let sessions = Sessions { runtime: &self.runtime, path, warm_up };
        let (executors, solo) = sessions.load(first, plan, &options, joined_rows)?;
        let configuration = describe(name, &rules, config, plan.count, on_gpu);
        let metrics = counts.unwrap_or_else(|| self.metrics.model(name, version));
        let instance = |executor: OnnxExecutor| Instance::new(Box::new(executor));
        let instances = executors.into_iter().map(instance).collect();
        let solo = solo.map(instance);
        let batcher = Batcher::new(instances, solo, self.threads, policy, time, Arc::clone(&metrics));
        let took = started.elapsed();
        metrics.ready(took);
        tracing::info!(
            model = name,
            version,
            instances = plan.count,
            intra_op_threads = plan.intra_op_threads,
            solo_threads = plan.solo_threads,
            batching = rules.batch_axis,
            row_microseconds = time.first_row.as_micros(),
            further_row_microseconds = time.further_row.as_micros(),
            joined_rows,
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

    /// As the model's file says, or a thread for each session, unless the model is large.
    fn plan(&self, path: &Path, config: &ModelConfig) -> Result<Plan, LoadError> {
        let group = &config.instance_group;
        let large = path.metadata()?.len() > LARGE_MODEL_BYTES;
        let intra_op_threads = group.intra_op_threads.unwrap_or(if large { self.threads } else { 1 });
        let count = group.count.unwrap_or_else(|| (self.threads / intra_op_threads).max(1));
        Ok(Plan { count, intra_op_threads, solo_threads: 0 })
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

    fn policy(&self, rules: &Rules, config: &ModelConfig, joined_rows: usize) -> BatchPolicy {
        let joined = config.max_batch_size.unwrap_or(joined_rows.min(self.max_queue_rows));
        BatchPolicy {
            max_joined_rows: if rules.batch_axis { joined } else { 1 },
            max_queue_rows: self.max_queue_rows,
            max_queue_delay: Duration::from_micros(config.dynamic_batching.max_queue_delay_microseconds),
            preferred_batch_size: config.dynamic_batching.preferred_batch_size.clone(),
        }
    }
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
