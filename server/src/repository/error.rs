//! What can be wrong with a model repository: one line each, with the model and the mend.

use storage::StorageError;

use crate::{
    error::{ErrorCode, ServeError},
    loading::LoadError,
};

/// Why models cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The place cannot be read.
    #[error("{error}{}", mend(error))]
    Storage {
        /// Why not.
        #[from]
        error: StorageError,
    },
    /// There is no model in it.
    #[error(
        "{location}: no model found: expected <model>/<version>/model.onnx, or one model as <version>/model.onnx, \
         model.onnx or a single .onnx file{}", skipped.iter().map(|line| format!("; {line}")).collect::<Vec<_>>().concat()
    )]
    Empty {
        /// The place.
        location: String,
        /// What looks like a model in it, and why it is none.
        skipped: Vec<String>,
    },
    /// `--model-dir` has more than one model.
    #[error("{location}: there are several models ({found}), none can be '{name}': use --model-repository")]
    SeveralModels {
        /// The place.
        location: String,
        /// The name that was asked for.
        name: String,
        /// What is there.
        found: String,
    },
    /// Two places have a model of one name.
    #[error("model '{name}' is in {first} and in {second}: rename one")]
    Twice {
        /// The name.
        name: String,
        /// The place that has it.
        first: String,
        /// The other one.
        second: String,
    },
    /// A `config.toml` is wrong.
    #[error("model '{model}': config.toml: {reason}")]
    Config {
        /// The model.
        model: String,
        /// What is wrong.
        reason: String,
    },
    /// A version cannot be loaded.
    #[error("model '{model}' version '{version}' ({address}): {reason}")]
    Load {
        /// The model.
        model: String,
        /// Its version.
        version: String,
        /// Where its file is.
        address: String,
        /// Why not.
        reason: Box<LoadError>,
    },
}

impl RepositoryError {
    /// Whether waiting can help: the store is down or starting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage { error } => error.is_transient(),
            Self::Empty { .. }
            | Self::SeveralModels { .. }
            | Self::Twice { .. }
            | Self::Config { .. }
            | Self::Load { .. } => false,
        }
    }

    /// The same for a client, who is told neither addresses nor paths.
    pub(super) fn for_clients(&self) -> ServeError {
        ServeError::internal(match self {
            Self::Storage { error } if error.is_transient() => {
                let message = "the model repository does not answer: the server's log says why";
                return ServeError::new(ErrorCode::Unavailable, message);
            }
            Self::Storage { .. } => {
                "the model repository cannot be read: the server's log says why".to_owned()
            }
            Self::Empty { .. } => "there is no model in the repository".to_owned(),
            Self::SeveralModels { name, .. } => {
                format!("there are several models where '{name}' should be alone")
            }
            Self::Twice { name, .. } => format!("model '{name}' is in two repositories"),
            Self::Config { model, reason } => format!("model '{model}': config.toml: {reason}"),
            Self::Load { model, version, reason, .. } => {
                format!("model '{model}' version '{version}' cannot be loaded: {reason}")
            }
        })
    }

    /// Whether there is nothing yet where something is to come.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Empty { .. } | Self::Storage { error: StorageError::NotFound { .. } })
    }
}

/// The setting that mends it, where there is one.
fn mend(error: &StorageError) -> &'static str {
    match error {
        StorageError::Deadline { .. } => " (--download-timeout)",
        _ => "",
    }
}

/// What went wrong while the models were looked for and loaded.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Places that could not be looked through.
    pub(super) places: Vec<RepositoryError>,
    /// Models that could not be loaded.
    pub(super) models: Vec<RepositoryError>,
}

impl Faults {
    /// Whether all is well.
    pub(super) fn are_none(&self) -> bool {
        self.places.is_empty() && self.models.is_empty()
    }
}
