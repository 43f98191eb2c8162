//! From an ONNX file to a model that answers: digest, signature, rules, instances.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    describe::describe,
    error::LoadError,
    instances::{FirstSession, Instances, Needs},
    served::ServedModel,
};
use crate::{
    batcher::Batcher,
    executor::Runtime,
    model::{ModelConfig, Signature},
    telemetry::{Metrics, ModelMetrics},
    validate::Rules,
};

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
        let group = &config.instance_group;
        let (first, signature) = FirstSession::load(&self.runtime, path, self.threads, group)?;
        let rules = Self::rules(signature, config)?;
        let (threads, max_queue_rows) = (self.threads, self.max_queue_rows);
        let needs = Needs { runtime: &self.runtime, path, threads, max_queue_rows, config, rules: &rules };
        let Instances { all, solo, plan, time, policy, on_gpu, sizes } = needs.load(first)?;
        let configuration = describe(name, &rules, config, max_queue_rows, plan.count, on_gpu);
        let metrics = counts.unwrap_or_else(|| self.metrics.model(name, version));
        let joined_rows = policy.max_joined_rows;
        let batcher = Batcher::new(all, solo, threads, policy, time, Arc::clone(&metrics));
        let took = started.elapsed();
        metrics.ready(took);
        tracing::info!(
            model = name,
            version,
            on_gpu,
            instances = plan.count,
            intra_op_threads = plan.intra_op_threads,
            solo_threads = plan.solo_threads,
            batching = rules.batch_axis,
            row_microseconds = time.first_row.as_micros(),
            further_row_microseconds = time.further_row.as_micros(),
            joined_rows,
            session_rows = ?sizes,
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

    fn rules(signature: Signature, config: &ModelConfig) -> Result<Rules, LoadError> {
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
        let max_rows = config.max_batch_size.filter(|_| batch_axis);
        Ok(Rules { signature, batch_axis, max_rows })
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
