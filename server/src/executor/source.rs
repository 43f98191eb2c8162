//! Where the sessions of a model get their bytes.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ort::session::{Session, builder::SessionBuilder};

use super::checked;

/// ONNX Runtime's option that names the folder of external tensors, for a model whose bytes are in memory.
const FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// The file of a model, or rewritten bytes in place of it.
#[derive(Clone, Debug)]
pub struct ModelSource {
    path: PathBuf,
    bytes: Option<Bytes>,
    has_checks: bool,
    has_separate_constants: bool,
}

impl ModelSource {
    /// Takes the file as it is. ONNX Runtime reads it, so memory holds its weights once only.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), bytes: None, has_checks: false, has_separate_constants: false }
    }

    /// Takes other bytes in place of the file's. External tensors are still read from files beside it.
    #[must_use]
    pub fn with_bytes(self, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Takes bytes that use operators of [`CHECKED_DOMAIN`](onnx_graph::rewrite::CHECKED_DOMAIN).
    #[must_use]
    pub fn with_checks(self, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), has_checks: true, ..self }
    }

    /// Keeps equal constants separate, for a model in training mode. ONNX Runtime overwrites the constants that
    /// running statistics start from. If it also shared one constant between two statistics, outputs would depend on
    /// earlier runs.
    #[must_use]
    pub fn without_constant_sharing(self) -> Self {
        Self { has_separate_constants: true, ..self }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes in place of the file's, if there are any.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Makes a session.
    pub(super) fn commit(&self, mut builder: SessionBuilder) -> ort::Result<Session> {
        if self.has_checks {
            builder = builder.with_operators(checked::operators()?)?;
        }
        if self.has_separate_constants {
            builder = builder.with_disabled_optimizers("ConstantSharing")?;
        }
        let Some(bytes) = &self.bytes else { return builder.commit_from_file(&self.path) };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // ONNX Runtime takes UTF-8 only. With any other path, models with external tensors fail to load.
        if let Some(folder) = folder.unwrap_or(Path::new(".")).to_str() {
            builder = builder.with_config_entry(FOLDER, folder)?;
        }
        builder.commit_from_memory(bytes)
    }
}
