//! ONNX Runtime's library, the device that it runs on, and the options of its sessions.

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

use super::{ModelSource, warning_filter::WarningFilter};
use crate::config::Device;

/// Why ONNX Runtime cannot be used, or cannot make a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The file is no library of ONNX Runtime, or its version is too old.
    #[error("{path}: not a usable ONNX Runtime library: {reason}")]
    Library {
        /// The file.
        path: PathBuf,
        /// The system loader's message, or ONNX Runtime's.
        reason: String,
    },
    /// `--device` asks for CUDA, and the library has no CUDA provider.
    #[error(
        "--device {0}: this ONNX Runtime library has no CUDA provider; install the onnxruntime-gpu build with \
         CUDA and cuDNN and point ORT_DYLIB_PATH at its libonnxruntime.so, or use --device cpu"
    )]
    NoCudaProvider(Device),
    /// The library has a CUDA provider that cannot start.
    #[error("--device {device}: ONNX Runtime could not start its CUDA provider: {reason}")]
    CudaFailed {
        /// The requested device.
        device: Device,
        /// ONNX Runtime's message, such as a missing libcudnn, no GPU, or an old driver.
        reason: String,
    },
    /// ONNX Runtime refuses the model.
    #[error("{0}")]
    Model(String),
    /// An input or output has a type that requests and responses cannot carry.
    #[error("'{name}' is {what}, which the protocol cannot carry")]
    NotCarried {
        /// Its name.
        name: String,
        /// Its type.
        what: String,
    },
}

/// Options for the sessions of one model.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The model's name in ONNX Runtime's log lines.
    model: Arc<str>,
    /// Threads that compute one run.
    pub intra_op_threads: usize,
    /// Weights that ONNX Runtime has rearranged for its kernels. The model's sessions share them.
    prepacked: PrepackedWeights,
}

impl SessionOptions {
    /// Makes options for the sessions of one model, which ONNX Runtime's log lines call `model`.
    pub fn new(model: &str, intra_op_threads: usize) -> Self {
        Self { model: model.into(), intra_op_threads, prepacked: PrepackedWeights::new() }
    }

    /// Makes options for sessions of the same model with another number of threads.
    #[must_use]
    pub fn with_threads(&self, intra_op_threads: usize) -> Self {
        Self { model: Arc::clone(&self.model), intra_op_threads, prepacked: self.prepacked.clone() }
    }
}

/// ONNX Runtime's loaded library, and the device that models run on.
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
    /// Loads the library at `path`, at most once per process, and chooses the device.
    ///
    /// # Errors
    /// The library cannot be loaded, or `device` asks for CUDA and the library has no such provider.
    pub fn load(path: &Path, device: Device) -> Result<Self, RuntimeError> {
        let refused = |reason: String| RuntimeError::Library { path: path.to_owned(), reason };
        let environment = ort::init_from(path)
            .map_err(|error| refused(error.to_string()))?
            .with_name("decima")
            .with_telemetry(false)
            .with_logger(Arc::new(forward_log(WarningFilter::default())))
            .build()
            .map_err(|error| refused(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let device = choose_device(device)?;
        Ok(Self { environment, device, library: path.canonicalize().unwrap_or_else(|_| path.to_owned()) })
    }

    /// Returns the library's file, with links resolved. The library stays loaded until the process ends.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Returns the library's version, such as `1.32.0`, from the name of its file (`libonnxruntime.so.1.32.0`). The
    /// library itself only tells the commit that it was built from.
    pub fn version(&self) -> &str {
        let name = self.library.file_name().and_then(OsStr::to_str);
        name.and_then(|name| name.split_once(".so.")).map_or("unknown", |(_, version)| version)
    }

    /// Makes a session, and returns whether it runs on a GPU. ONNX Runtime looks for external data beside the model's
    /// file, as ONNX specifies.
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
        let builder = self.builder(options).map_err(|error| model_error(&error, source))?;
        source.commit(builder).map_err(|error| model_error(&error, source))
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
            // An exhaustive search takes several times as long to load, and its algorithms are no faster.
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .build()
            .error_on_failure();
        let builder = self
            .builder(options)
            .map_err(|error| failed(error.to_string()))?
            .with_execution_providers([provider])
            .map_err(|error| failed(error.to_string()))?;
        source.commit(builder).map_err(|error| model_error(&error, source))
    }

    /// Makes options of a run on the CPU that frees the memory of ONNX Runtime's arena at its end. Not for a GPU,
    /// where freeing waits for all work of the device.
    pub(super) fn memory_freeing_options() -> Option<RunOptions> {
        let mut options = RunOptions::new().ok()?;
        options.set("memory.enable_memory_arena_shrinkage", "cpu:0").ok()?;
        Some(options)
    }

    /// Makes a builder with the options that all sessions have. Spinning is off: the threads of an idle server would
    /// otherwise keep its cores busy, and take them from other processes.
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

/// Converts ONNX Runtime's error about a model. Clients may see it, so the path of the model's folder is removed.
fn model_error<T>(error: &ort::Error<T>, source: &ModelSource) -> RuntimeError {
    let path = source.path();
    let folder = path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let mut text = error.to_string();
    if let (Some(_), Some(name)) = (source.bytes(), path.file_name()) {
        // The model was loaded from bytes, so ONNX Runtime does not know the name of its file.
        text = format!("{}: {text}", name.display());
    }
    RuntimeError::Model(if folder.is_empty() {
        text
    } else {
        text.replace(&format!("{folder}/"), "").replace(&folder, "")
    })
}

/// Checks that the library can run on the device. `auto` becomes the CPU if there is no CUDA provider.
fn choose_device(device: Device) -> Result<Device, RuntimeError> {
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

/// Makes the function that writes ONNX Runtime's log lines to the server's log. Errors have level debug here, since
/// each of them is also the result of a call, which is logged where it is handled.
fn forward_log(warnings: WarningFilter) -> impl Fn(LogLevel, &str, &str, &str, &str) + Send + Sync {
    move |level, category, model, location, message| match level {
        LogLevel::Warning => {
            if let Some(held_back) = warnings.admit(model, location, Instant::now()) {
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
