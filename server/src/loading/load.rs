//! The steps from an ONNX file to a model that is ready: digest, signature, rules, instances.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use oip::InferRequest;
use sha2::{Digest, Sha256};

use super::{
    LoadError,
    describe::describe,
    instances::{Chosen, FirstSession, InstanceLoader, Instances},
    model_file::ModelFile,
    served_model::ServedModel,
};
use crate::{
    batcher::Batcher,
    config::BatchingMode,
    executor::Runtime,
    model::{Batching, ModelConfig},
    request::{
        classify::winner::output_with_scores,
        preprocess::{Decoding, Pictures},
        validate::Rules,
    },
    telemetry::{Metrics, ModelMetrics},
};

/// Loads models: what they have in common.
#[derive(Clone, Debug)]
pub struct Loader {
    /// ONNX Runtime.
    pub runtime: Runtime,
    /// Threads for all models together.
    pub threads: usize,
    /// Whether batches are formed by what is measured or by fixed rules.
    pub batching: BatchingMode,
    /// Rows that may wait for one model.
    pub max_queue_rows: usize,
    /// Bounds of the decoding of pictures.
    pub decoding: Decoding,
    /// Where models count.
    pub metrics: Metrics,
}

/// One version of a model, about to be loaded.
#[derive(Debug)]
pub struct Version<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// The version.
    pub version: &'a str,
    /// Its ONNX file.
    pub path: &'a Path,
    /// The model's configuration.
    pub config: &'a ModelConfig,
    /// A request that the model answers, if its folder has one.
    pub example: Option<InferRequest>,
}

impl Loader {
    /// Loads a version's ONNX file and warms it. `counts` are the metrics of the version that it replaces, and go on. This
    /// takes up to seconds, so it must not run on a thread of the runtime.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        &self,
        version: Version<'_>,
        counts: Option<Arc<ModelMetrics>>,
    ) -> Result<ServedModel, LoadError> {
        let Version { name, version, path, config, example } = version;
        let started = Instant::now();
        check_digest(path, config)?;
        let mut file = ModelFile::read(path)?;
        let (mut first, signature) =
            file.first_session(&self.runtime, name, self.threads, &config.instance_group)?;
        file.report(name, version);
        let labels = if config.labels.is_empty() { file.labels() } else { config.labels.clone() };
        let ModelFile { source, rows, value_dependent_time, .. } = file;
        let batching =
            Batching::decide(&signature, config.max_batch_size, rows).map_err(LoadError::Config)?;
        let rules = Rules::new(signature, batching, config.max_batch_size.filter(|&size| size > 0));
        let rules = with_checked_batching(name, version, &mut first, rules, example);
        let image = config.image.as_ref().map(|image| image.resolve(&rules.signature));
        let image = image.transpose().map_err(LoadError::Config)?;
        let loader = InstanceLoader {
            runtime: &self.runtime,
            source: &source,
            threads: self.threads,
            batching: self.batching,
            max_queue_rows: self.max_queue_rows,
            config,
            rules: &rules,
            value_dependent_time,
        };
        let Instances { all, idle_session, cost, policy, chosen, replacement } = loader.load(first)?;
        let configuration = describe(name, &rules, config, &chosen);
        let pictures = image.map(|input| Pictures::new(name, input, &rules, self.decoding.clone()));
        let metrics = counts.unwrap_or_else(|| self.metrics.model(name, version));
        let batcher =
            Batcher::new(all, idle_session, policy, cost, Arc::clone(&metrics)).with_replacement(replacement);
        let took = started.elapsed();
        metrics.ready(took);
        let scores = output_with_scores(&rules.signature, labels.len());
        let scores = scores.filter(|_| config.metrics.predictions.unwrap_or(true));
        let counted = if scores.is_some() { labels.as_slice() } else { &[] };
        let predictions = scores.zip(self.metrics.predictions(name, version, counted));
        let Chosen { plan, on_gpu, session_rows, reason, alternative, pin: _ } = chosen;
        tracing::debug!(
            model = name,
            version,
            on_gpu,
            instances = plan.count,
            intra_op_threads = plan.intra_op_threads,
            idle_session_threads = plan.idle_session_threads,
            lanes = plan.lanes,
            batching = %rules.batching,
            batching_mode = %plan.mode,
            row_microseconds = cost.first_row.as_micros(),
            further_row_microseconds = cost.further_row.as_micros(),
            joined_rows = plan.joined_rows,
            returning_clients = plan.returning_clients,
            session_rows = ?session_rows,
            reason,
            "model plan"
        );
        // Why it is off has a line of its own.
        let batching = if rules.batching.axes().is_some() { "on" } else { "off" };
        let milliseconds = took.as_millis() as u64;
        tracing::info!(model = name, version, batching, instances = plan.count, milliseconds, "model ready");
        if let Some(alternative) = alternative {
            tracing::info!(
                model = name,
                version,
                "the time of a row is close to a threshold, so another start may choose {alternative}: to get the same \
                 on every replica, write parameters.pin of /v2/models/{name}/config into the model's config.toml"
            );
        }
        Ok(ServedModel {
            name: name.into(),
            version: version.into(),
            rules,
            labels,
            nulls: config.nulls.into(),
            pictures,
            configuration,
            metrics,
            predictions,
            batcher,
        })
    }
}

/// Runs rows alone and joined, and logs what came of it. Returns the rules, without batching if a proof was wrong.
fn with_checked_batching(
    name: &str,
    version: &str,
    first: &mut FirstSession,
    rules: Rules,
    example: Option<InferRequest>,
) -> Rules {
    let rules = match (first.check_rows(&rules, example), &rules.batching) {
        (Some(Err(difference)), Batching::Proven(_)) => {
            tracing::warn!(
                model = name,
                version,
                "the graph seems to keep rows apart, but {difference}: that is a fault of this server, please report it"
            );
            rules.without_batching(difference)
        }
        (Some(Err(difference)), Batching::Asserted(_)) => {
            tracing::warn!(
                model = name,
                version,
                "max_batch_size in config.toml says that rows are independent, but {difference}"
            );
            rules
        }
        _ => rules,
    };
    if rules.batching.axes().is_none() {
        tracing::info!(model = name, version, "batching {}", rules.batching);
    }
    rules
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
