//! ONNX Runtime's library: loading it once, and what it can run on.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use ort::{
    ep::{CUDA, ExecutionProvider, cuda::ConvAlgorithmSearch},
    logging::LogLevel,
    session::{
        RunOptions, Session,
        builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder},
    },
};

use super::{ModelSource, repeated::Repeated};
use crate::config::Device;

/// Why a session could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The library is no ONNX Runtime, or too old a one.
    #[error("{path}: not a usable ONNX Runtime library: {reason}")]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// `--device cuda` without a CUDA provider.
    #[error(
        "--device {0}: this ONNX Runtime library has no CUDA provider; install the onnxruntime-gpu build with \
         CUDA and cuDNN and point ORT_DYLIB_PATH at its libonnxruntime.so, or use --device cpu"
    )]
    NoCudaProvider(Device),
    /// The provider is there and could not start.
    #[error("--device {device}: ONNX Runtime could not start its CUDA provider: {reason}")]
    CudaFailed {
        /// What was asked for.
        device: Device,
        /// ONNX Runtime's words: a missing libcudnn, no GPU, a driver too old.
        reason: String,
    },
    /// ONNX Runtime refuses the model.
    #[error("{0}")]
    Model(String),
    /// An input or output is nothing that a request or an answer can have.
    #[error("'{name}' is {what}, which the protocol cannot carry")]
    NotCarried {
        /// Its name.
        name: String,
        /// What it is.
        what: String,
    },
}

/// How sessions of one model are made.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The model, as ONNX Runtime's lines of the log are to call it.
    model: Arc<str>,
    /// Threads of one run.
    pub intra_op_threads: usize,
    /// Weights rearranged for the kernels, shared by the model's sessions.
    prepacked: PrepackedWeights,
}

impl SessionOptions {
    /// Options for the sessions of one model, which lines of the log call `model`.
    pub fn new(model: &str, intra_op_threads: usize) -> Self {
        Self { model: model.into(), intra_op_threads, prepacked: PrepackedWeights::new() }
    }

    /// Options for sessions of the same model with other threads.
    #[must_use]
    pub fn with_threads(&self, intra_op_threads: usize) -> Self {
        Self { model: Arc::clone(&self.model), intra_op_threads, prepacked: self.prepacked.clone() }
    }
}

/// ONNX Runtime, loaded, with the device that models run on.
#[derive(Clone)]
pub struct Runtime {
    environment: ort::environment::Environment,
    device: Device,
    library: PathBuf,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Loads the library at `path`, once in a process, and settles the device.
    ///
    /// # Errors
    /// The library cannot be loaded, or `device` asks for CUDA and the library has no such provider.
    pub fn load(path: &Path, device: Device) -> Result<Self, RuntimeError> {
        let refused = |reason: String| RuntimeError::Library { path: path.to_owned(), reason };
        let environment = ort::init_from(path)
            .map_err(|error| refused(error.to_string()))?
            .with_name("decima")
            .with_telemetry(false)
            .with_logger(Arc::new(forward_log(Repeated::default())))
            .build()
            .map_err(|error| refused(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let device = settle(device)?;
        Ok(Self { environment, device, library: path.canonicalize().unwrap_or_else(|_| path.to_owned()) })
    }

    /// The library's file, which is not a link. It stays loaded as long as the process lives.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The library's version, as in `1.32.0`. The library itself says which commit it was built from, its file's
    /// name which version that is: `libonnxruntime.so.1.32.0`.
    pub fn version(&self) -> &str {
        let name = self.library.file_name().and_then(OsStr::to_str);
        name.and_then(|name| name.split_once(".so.")).map_or("unknown", |(_, version)| version)
    }

    /// Makes a session of the model, and says whether it runs on a GPU. External data is looked for beside its file, as
    /// ONNX lays down.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] with ONNX Runtime's reason; [`RuntimeError::CudaFailed`].
    pub fn session(
        &self,
        source: &ModelSource,
        options: &SessionOptions,
    ) -> Result<(Session, bool), RuntimeError> {
        let on_cpu = || Ok((self.cpu_session(source, options)?, false));
        let on_gpu = |index| Ok((self.cuda_session(source, options, index)?, true));
        match self.device {
            Device::Cpu => on_cpu(),
            Device::Cuda(index) => on_gpu(index),
            Device::Auto => on_gpu(0).or_else(|error: RuntimeError| {
                tracing::warn!(%error, "running on the CPU instead");
                on_cpu()
            }),
        }
    }

    fn cpu_session(&self, source: &ModelSource, options: &SessionOptions) -> Result<Session, RuntimeError> {
        let builder = self.builder(options).map_err(|error| refused(&error, source))?;
        source.commit(builder).map_err(|error| refused(&error, source))
    }

    fn cuda_session(
        &self,
        source: &ModelSource,
        options: &SessionOptions,
        index: u32,
    ) -> Result<Session, RuntimeError> {
        let failed = |error: String| RuntimeError::CudaFailed { device: self.device, reason: error };
        let provider = CUDA::default()
            .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
            // Trying all algorithms takes three to six times as long, and found no faster ones.
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .build()
            .error_on_failure();
        let builder = self
            .builder(options)
            .map_err(|error| failed(error.to_string()))?
            .with_execution_providers([provider])
            .map_err(|error| failed(error.to_string()))?;
        source.commit(builder).map_err(|error| refused(&error, source))
    }

    /// Options of a run on the CPU that gives back the memory of its arena. On a GPU that would wait for it.
    pub(super) fn sparing() -> Option<RunOptions> {
        let mut options = RunOptions::new().ok()?;
        options.set("memory.enable_memory_arena_shrinkage", "cpu:0").ok()?;
        Some(options)
    }

    /// Options that every session has. A thread pool that spins would burn the cores of an idle server,
    /// and of its neighbours.
    fn builder(&self, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let builder = SessionBuilder::new(&self.environment)?
            .with_log_id(&*options.model)?
            .with_intra_threads(options.intra_op_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_prepacked_weights(&options.prepacked)?;
        Ok(builder)
    }
}

/// ONNX Runtime's reason, which clients may see: without the folder that it is about.
fn refused<T>(error: &ort::Error<T>, source: &ModelSource) -> RuntimeError {
    let path = source.path();
    let folder = path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let mut text = error.to_string();
    if let (Some(_), Some(name)) = (source.bytes(), path.file_name()) {
        // ONNX Runtime does not know where the bytes come from.
        text = format!("{}: {text}", name.display());
    }
    RuntimeError::Model(if folder.is_empty() {
        text
    } else {
        text.replace(&format!("{folder}/"), "").replace(&folder, "")
    })
}

fn settle(device: Device) -> Result<Device, RuntimeError> {
    let has_cuda = CUDA::is_available().unwrap_or(false);
    match device {
        Device::Cpu => Ok(device),
        Device::Cuda(_) | Device::Auto if has_cuda => Ok(device),
        Device::Cuda(_) => Err(RuntimeError::NoCudaProvider(device)),
        Device::Auto => {
            tracing::warn!(
                "--device auto: this ONNX Runtime library has no CUDA provider, running on the CPU"
            );
            Ok(Device::Cpu)
        }
    }
}

/// ONNX Runtime's own log lines, as lines of ours. Its errors come back as results too and are logged
/// where they are handled, so they are details here.
fn forward_log(warnings: Repeated) -> impl Fn(LogLevel, &str, &str, &str, &str) + Send + Sync {
    move |level, category, model, location, message| match level {
        LogLevel::Warning => {
            if let Some(held_back) = warnings.told(model, location, Instant::now()) {
                let held_back = Some(held_back).filter(|&held_back| held_back > 0);
                tracing::warn!(target: "onnxruntime", model, category, location, held_back, "{message}");
            }
        }
        LogLevel::Verbose => tracing::trace!(target: "onnxruntime", model, category, location, "{message}"),
        LogLevel::Fatal | LogLevel::Error | LogLevel::Info => {
            tracing::debug!(target: "onnxruntime", model, category, location, "{message}");
        }
    }
}
