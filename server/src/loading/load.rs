//! From an ONNX file to a model that answers: digest, signature, rules, instances.

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
    describe::{Chosen, describe},
    instances::{FirstSession, Instances, Needs},
    model_file::ModelFile,
    served_model::ServedModel,
};
use crate::{
    batcher::Batcher,
    executor::Runtime,
    model::{Batching, ModelConfig},
    request::{
        preprocess::{Decoding, Pictures},
        validate::Rules,
    },
    telemetry::{Metrics, ModelMetrics},
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
    /// How much decoding of pictures there may be.
    pub decoding: Decoding,
    /// Where the model's metrics go.
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
    /// A request that the model answers, where there is one.
    pub example: Option<InferRequest>,
}

impl Loader {
    /// Loads a version's ONNX file and warms it. `counts` are the metrics of what it replaces: they go on.
    /// Takes long: not for a runtime thread.
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
        let rules = verified(name, version, &mut first, rules, example);
        let image = config.image.as_ref().map(|image| image.resolve(&rules.signature));
        let image = image.transpose().map_err(LoadError::Config)?;
        let (threads, max_queue_rows) = (self.threads, self.max_queue_rows);
        let needs = Needs {
            runtime: &self.runtime,
            source: &source,
            threads,
            max_queue_rows,
            config,
            rules: &rules,
            value_dependent_time,
        };
        let Instances { all, idle_session, plan, time, policy, on_gpu, sizes, replacement } =
            needs.load(first)?;
        let chosen = Chosen { plan, joined_rows: policy.max_joined_rows, on_gpu };
        let configuration = describe(name, &rules, config, chosen);
        let pictures = image.map(|input| Pictures::new(name, input, &rules, self.decoding.clone()));
        let metrics = counts.unwrap_or_else(|| self.metrics.model(name, version));
        let joined_rows = policy.max_joined_rows;
        let batcher = Batcher::new(all, idle_session, threads, policy, time, Arc::clone(&metrics))
            .with_replacement(replacement);
        let took = started.elapsed();
        metrics.ready(took);
        tracing::info!(
            model = name,
            version,
            on_gpu,
            instances = plan.count,
            intra_op_threads = plan.intra_op_threads,
            solo_threads = plan.idle_session_threads,
            batching = %rules.batching,
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
            labels,
            nulls: config.nulls.into(),
            pictures,
            configuration,
            metrics,
            batcher,
        })
    }
}

/// The rules, after rows have been run alone and joined; says in the log what came of it.
fn verified(
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
