//! Why a model cannot be loaded.

use crate::executor::RuntimeError;

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Loading panicked, which is a fault of this server.
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
