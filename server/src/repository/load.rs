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
use onnx_graph::{Declared, Interface, NotProven};
use sha2::{Digest, Sha256};

use super::{
    describe::{Chosen, describe},
    error::LoadError,
    instances::{FirstSession, Instances, Needs},
    served::ServedModel,
};
use crate::{
    batcher::Batcher,
    executor::Runtime,
    model::{Batching, ModelConfig, RowAxes, Signature},
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
        example: Option<InferRequest>,
        counts: Option<Arc<ModelMetrics>>,
    ) -> Result<ServedModel, LoadError> {
        let started = Instant::now();
        check_digest(path, config)?;
        let graph = Graph::read(path)?;
        let group = &config.instance_group;
        let (mut first, mut signature) = FirstSession::load(&self.runtime, path, self.threads, group)?;
        graph.open_shapes(&mut signature);
        let batching =
            Batching::decide(&signature, config.max_batch_size, graph.rows).map_err(LoadError::Config)?;
        let rules = Rules::new(signature, batching, config.max_batch_size.filter(|&size| size > 0));
        let rules = verified(name, version, &mut first, rules, example);
        let (threads, max_queue_rows) = (self.threads, self.max_queue_rows);
        let needs = Needs { runtime: &self.runtime, path, threads, max_queue_rows, config, rules: &rules };
        let Instances { all, solo, plan, time, policy, on_gpu, sizes } = needs.load(first)?;
        let chosen = Chosen { plan, joined_rows: policy.max_joined_rows, on_gpu };
        let configuration = describe(name, &rules, config, chosen);
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
            labels: config.labels.clone(),
            configuration,
            metrics,
            batcher,
        })
    }
}

/// What the file itself shows of a model.
struct Graph {
    /// The axes of its rows, where they are independent.
    rows: Result<RowAxes, NotProven>,
    /// Inputs and outputs as declared.
    interface: Interface,
}

impl Graph {
    fn read(path: &Path) -> std::io::Result<Self> {
        let file = Bytes::from(std::fs::read(path)?);
        Ok(match onnx_graph::read(file) {
            Ok(model) => {
                let rows = onnx_graph::analyse(&model).rows;
                Self { rows, interface: onnx_graph::interface(&model) }
            }
            // ONNX Runtime says what is wrong with it.
            Err(error) => {
                let reason = error.to_string();
                Self { rows: Err(NotProven { node: None, reason }), interface: Interface::default() }
            }
        })
    }

    /// Marks the tensors that the file declares without a shape: ONNX Runtime gives them as scalars.
    fn open_shapes(&self, signature: &mut Signature) {
        let interface = &self.interface;
        let is_open = |declared: Option<&Declared>| declared.is_some_and(|declared| declared.shape.is_none());
        let inputs = signature.inputs.iter_mut().map(|spec| (interface.input(&spec.name), spec));
        let outputs = signature.outputs.iter_mut().map(|spec| (interface.output(&spec.name), spec));
        for (declared, spec) in inputs.chain(outputs) {
            if is_open(declared) && spec.dims.as_ref().is_some_and(Vec::is_empty) {
                spec.dims = None;
            }
        }
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
