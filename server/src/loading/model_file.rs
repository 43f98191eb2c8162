//! Reading a model's file: what it declares, which axes its rows lie along, and the rewriting that lets it be served and
//! keeps requests from ending the process.

use std::{fs, io, path::Path};

use bytes::Bytes;
use onnx_graph::{
    Analysis, Declared, Interface, NotProven,
    proto::ModelProto,
    rewrite::{self, Guarded, Probabilities, Unzipped},
};

use super::{LoadError, instances::FirstSession};
use crate::{
    executor::{ModelSource, Runtime, RuntimeError},
    model::{InstanceGroup, RowAxes, Signature},
};

/// No message of protocol buffers may be larger. Weights of such models lie in other files.
const LARGEST_FILE: u64 = i32::MAX as u64;

/// What ONNX Runtime says where a locale is missing on this machine.
const NO_LOCALE: &str = "Failed to construct locale";

/// A model's file, read.
#[derive(Debug)]
pub(super) struct ModelFile {
    /// What sessions are made from.
    pub(super) source: ModelSource,
    /// The axes of its rows, where they are independent.
    pub(super) rows: Result<RowAxes, NotProven>,
    /// Whether how long a run takes depends on values of the inputs.
    pub(super) value_dependent_time: bool,
    /// Inputs and outputs as declared.
    interface: Interface,
    /// Outputs that were maps from classes to probabilities.
    probabilities: Vec<Probabilities>,
    /// Nodes that got a check.
    guarded: usize,
}

impl ModelFile {
    /// Reads the file and makes of it what can be served. A file that is no ONNX model, or is too large for one, stays
    /// as it is: ONNX Runtime says what is wrong with it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let as_it_is = |reason: String| Self {
            source: ModelSource::file(path),
            rows: Err(NotProven { node: None, reason }),
            value_dependent_time: true,
            interface: Interface::default(),
            probabilities: Vec::new(),
            guarded: 0,
        };
        if path.metadata()?.len() > LARGEST_FILE {
            return Ok(as_it_is("the file is larger than 2 GiB".into()));
        }
        let bytes = Bytes::from(fs::read(path)?);
        Ok(match onnx_graph::read(bytes.clone()) {
            Ok(model) => Self::rewritten(ModelSource::file(path), &bytes, model),
            Err(error) => as_it_is(error.to_string()),
        })
    }

    fn rewritten(mut source: ModelSource, bytes: &Bytes, mut model: ModelProto) -> Self {
        let mut bytes = bytes.clone();
        let mut probabilities = Vec::new();
        if let Some(Unzipped { bytes: unzipped, probabilities: found }) = rewrite::unzip(&bytes, &model)
            && let Ok(read) = onnx_graph::read(unzipped.clone())
        {
            (bytes, model, probabilities) = (unzipped.clone(), read, found);
            source = source.with_bytes(unzipped);
        }
        // The analysis comes before the guarding: it knows nothing of the server's own operators.
        let Analysis { rows, value_dependent } = onnx_graph::analyse(&model);
        let interface = onnx_graph::interface(&model);
        if onnx_graph::is_in_training_mode(&model) {
            source = source.without_constant_sharing();
        }
        let mut guarded = 0;
        if let Some(Guarded { bytes, nodes }) = rewrite::guard(&bytes, &model) {
            tracing::debug!(?nodes, "guarded against what would end the process");
            guarded = nodes.len();
            source = source.with_checks(bytes);
        }
        Self {
            source,
            rows,
            value_dependent_time: value_dependent.is_some(),
            interface,
            probabilities,
            guarded,
        }
    }

    /// The model's first session. Where only a locale is missing, the model is tried once more with one that is always
    /// there: where the locale that the file asks for exists, it is the one to use.
    ///
    /// # Errors
    /// ONNX Runtime refuses the model, or it has inputs or outputs that no request or answer can have.
    pub(super) fn first_session(
        &mut self,
        runtime: &Runtime,
        name: &str,
        threads: usize,
        group: &InstanceGroup,
    ) -> Result<(FirstSession, Signature), LoadError> {
        let (first, mut signature) = match FirstSession::load(runtime, name, &self.source, threads, group) {
            Err(LoadError::Runtime(RuntimeError::Model(reason))) if reason.contains(NO_LOCALE) => {
                if !self.settle_locale()? {
                    return Err(RuntimeError::Model(reason).into());
                }
                FirstSession::load(runtime, name, &self.source, threads, group)
            }
            loaded => loaded,
        }
        .map_err(|error| self.with_way_out(error))?;
        self.open_shapes(&mut signature);
        Ok((first, signature))
    }

    /// Names of classes, where the file has them with its probabilities and every such output has the same.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels = self.probabilities.iter().map(|probabilities| &probabilities.classes);
        let first = labels.next().filter(|first| labels.all(|other| other == *first));
        first.cloned().unwrap_or_default()
    }

    /// Says in the log what was made of the file.
    pub(super) fn report(&self, name: &str, version: &str) {
        for Probabilities { output, classes } in &self.probabilities {
            tracing::info!(
                model = name,
                version,
                "output '{output}' is a ZipMap: served as a tensor of probabilities, a column for each of {} classes",
                classes.len()
            );
        }
        if self.guarded > 0 {
            let nodes = self.guarded;
            tracing::info!(
                model = name,
                version,
                nodes,
                "nodes that a request's values could crash are checked"
            );
        }
    }

    /// Whether the model now asks for a locale that is always there.
    fn settle_locale(&mut self) -> io::Result<bool> {
        let bytes = match self.source.bytes() {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(fs::read(self.source.path())?),
        };
        let settled =
            onnx_graph::read(bytes.clone()).ok().and_then(|model| rewrite::settle_locale(&bytes, &model));
        let is_settled = settled.is_some();
        if let Some(settled) = settled {
            tracing::info!("the locale that the model asks for is not installed: C.UTF-8 in its place");
            self.source = self.source.clone().with_bytes(settled);
        }
        Ok(is_settled)
    }

    /// The error, with what can be done where the model comes from.
    fn with_way_out(&self, error: LoadError) -> LoadError {
        let LoadError::Runtime(RuntimeError::NotCarried { name, .. }) = &error else { return error };
        let model = fs::read(self.source.path()).ok().and_then(|bytes| onnx_graph::read(bytes.into()).ok());
        match model.and_then(|model| rewrite::way_out(&model, name)) {
            Some(way_out) => RuntimeError::Model(format!("{error}: {way_out}")).into(),
            None => error,
        }
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
