//! Reading a model's file: what it declares, along which axes its rows lie, and what is rewritten. Rewriting lets more
//! models be served, and keeps requests from ending the process.

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

/// Largest file that is read, in bytes. No message of protocol buffers may be larger, so the weights of larger models lie in
/// files of their own.
const LARGEST_FILE: u64 = i32::MAX as u64;

/// Part of ONNX Runtime's error if this machine lacks the locale that a model asks for.
const NO_LOCALE: &str = "Failed to construct locale";

/// What was read from a model's file.
#[derive(Debug)]
pub(super) struct ModelFile {
    /// What sessions are loaded from.
    pub(super) source: ModelSource,
    /// The axes of its rows if they are independent, or why that is not known.
    pub(super) rows: Result<RowAxes, NotProven>,
    /// Whether the time of a run depends on the values of the inputs.
    pub(super) value_dependent_time: bool,
    /// Inputs and outputs as the file declares them.
    interface: Interface,
    /// Outputs that were maps from classes to probabilities, and are tensors now.
    probabilities: Vec<Probabilities>,
    /// Number of nodes whose inputs are checked before they run.
    guarded: usize,
}

impl ModelFile {
    /// Reads the file, and rewrites what cannot be served as it is. A file that is no ONNX model or is too large for one
    /// stays unchanged, and ONNX Runtime says later what is wrong with it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let unchanged = |reason: String| Self {
            source: ModelSource::file(path),
            rows: Err(NotProven { node: None, reason }),
            value_dependent_time: true,
            interface: Interface::default(),
            probabilities: Vec::new(),
            guarded: 0,
        };
        if path.metadata()?.len() > LARGEST_FILE {
            return Ok(unchanged("the file is larger than 2 GiB".into()));
        }
        let bytes = Bytes::from(fs::read(path)?);
        Ok(match onnx_graph::read(bytes.clone()) {
            Ok(model) => Self::rewritten(ModelSource::file(path), &bytes, model),
            Err(error) => unchanged(error.to_string()),
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
        // Before the guarding, since the analysis does not know the server's own operators.
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

    /// Loads the model's first session. If only the locale is missing that the file asks for, the model is tried once more
    /// with a locale that every machine has.
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
                if !self.use_known_locale()? {
                    return Err(RuntimeError::Model(reason).into());
                }
                FirstSession::load(runtime, name, &self.source, threads, group)
            }
            loaded => loaded,
        }
        .map_err(|error| self.with_advice(error))?;
        self.mark_unknown_shapes(&mut signature);
        Ok((first, signature))
    }

    /// Returns the names of the classes, if the file has them and every output with probabilities has the same.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels = self.probabilities.iter().map(|probabilities| &probabilities.classes);
        let first = labels.next().filter(|first| labels.all(|other| other == *first));
        first.cloned().unwrap_or_default()
    }

    /// Logs what was rewritten.
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

    /// Makes the model ask for a locale that every machine has. Returns whether that changed anything.
    fn use_known_locale(&mut self) -> io::Result<bool> {
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

    /// Adds to an error how to export the model so that it can be served.
    fn with_advice(&self, error: LoadError) -> LoadError {
        let LoadError::Runtime(RuntimeError::NotCarried { name, .. }) = &error else { return error };
        let model = fs::read(self.source.path()).ok().and_then(|bytes| onnx_graph::read(bytes.into()).ok());
        match model.and_then(|model| rewrite::way_out(&model, name)) {
            Some(way_out) => RuntimeError::Model(format!("{error}: {way_out}")).into(),
            None => error,
        }
    }

    /// Marks the tensors that the file declares without a shape. ONNX Runtime reports them as scalars.
    fn mark_unknown_shapes(&self, signature: &mut Signature) {
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
