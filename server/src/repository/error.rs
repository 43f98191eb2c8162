//! Errors of model repositories. Each is one line that names the model or the place, and what to do.

use storage::StorageError;

use crate::{
    error::{ErrorCode, ServeError},
    loading::LoadError,
};

/// Why models cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The place cannot be read.
    #[error("{error}{}", setting_for(error))]
    Storage {
        /// Why not.
        #[from]
        error: StorageError,
    },
    /// There is no such place.
    #[error("{error}, or name the place of your models with {setting}")]
    NoPlace {
        /// Which place. Boxed, so that results do not carry its size.
        error: Box<StorageError>,
        /// The flag that names it.
        setting: &'static str,
    },
    /// The place has no model.
    #[error(
        "{location}: no model found: expected <model>/<version>/model.onnx, or one model as <version>/model.onnx, \
         model.onnx or a single .onnx file{}", skipped.iter().map(|line| format!("; {line}")).collect::<Vec<_>>().concat()
    )]
    Empty {
        /// The place.
        location: String,
        /// The folders that look like models, and why they are none.
        skipped: Vec<String>,
    },
    /// `--model-dir` has more than one model.
    #[error(
        "{location}: there are several models ({found}), and --model-dir takes one, to be called '{name}': use \
         --model-repository"
    )]
    SeveralModels {
        /// The place.
        location: String,
        /// The configured name of the model.
        name: String,
        /// The models that were found.
        found: String,
    },
    /// Two folders have a model of the same name.
    #[error("model '{name}' is in {first} and in {second}: rename one")]
    DuplicateModel {
        /// The name.
        name: String,
        /// The first folder.
        first: String,
        /// The other folder.
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
        /// The address of its ONNX file.
        address: String,
        /// Why not.
        reason: Box<LoadError>,
    },
}

impl RepositoryError {
    /// Returns whether waiting can help, as when the store is down or starting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage { error } => error.is_transient(),
            Self::NoPlace { .. }
            | Self::Empty { .. }
            | Self::SeveralModels { .. }
            | Self::DuplicateModel { .. }
            | Self::Config { .. }
            | Self::Load { .. } => false,
        }
    }

    /// Converts it to an error for clients, without addresses and paths.
    pub(super) fn for_clients(&self) -> ServeError {
        ServeError::internal(match self {
            Self::Storage { error } if error.is_transient() => {
                let message = "the model repository does not answer: the server's log says why";
                return ServeError::new(ErrorCode::Unavailable, message);
            }
            Self::Storage { .. } | Self::NoPlace { .. } => {
                "the model repository cannot be read: the server's log says why".to_owned()
            }
            Self::Empty { .. } => "there is no model in the repository".to_owned(),
            Self::SeveralModels { name, .. } => {
                format!("there are several models where '{name}' should be alone")
            }
            Self::DuplicateModel { name, .. } => format!("model '{name}' is in two repositories"),
            Self::Config { model, reason } => format!("model '{model}': config.toml: {reason}"),
            Self::Load { model, version, reason, .. } => {
                format!("model '{model}' version '{version}' cannot be loaded: {reason}")
            }
        })
    }

    /// Returns whether the place is missing or empty, so that a model may still arrive.
    pub(super) fn is_absent(&self) -> bool {
        let is_gone = |error: &StorageError| matches!(error, StorageError::NotFound { .. });
        match self {
            Self::Empty { .. } | Self::NoPlace { .. } => true,
            Self::Storage { error } => is_gone(error),
            _ => false,
        }
    }
}

/// Returns the setting that can mend the error, if there is one.
fn setting_for(error: &StorageError) -> &'static str {
    match error {
        StorageError::Deadline { .. } => " (--download-timeout)",
        _ => "",
    }
}

/// The errors of a scan of the places and of the loads after it.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Places that could not be read.
    pub(super) places: Vec<RepositoryError>,
    /// Models that could not be loaded.
    pub(super) models: Vec<RepositoryError>,
}

impl Faults {
    /// Returns whether there are no errors.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.models.is_empty()
    }
}
