//! What the sessions of a model are made from.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ort::session::{Session, builder::SessionBuilder};

use super::checked;

/// ONNX Runtime's option for a model whose bytes are in memory: the folder of the files that hold its external tensors.
const FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// A model's file, or what was made of it.
#[derive(Clone, Debug)]
pub struct ModelSource {
    path: PathBuf,
    bytes: Option<Bytes>,
    has_checks: bool,
    has_constants_apart: bool,
}

impl ModelSource {
    /// The file as it is. ONNX Runtime reads it, so that there is no second copy of its weights.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), bytes: None, has_checks: false, has_constants_apart: false }
    }

    /// Other bytes in place of the file's. Tensors that it keeps in other files are those beside it.
    #[must_use]
    pub fn with_bytes(self, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Bytes with operators of [`CHECKED_DOMAIN`](onnx_graph::rewrite::CHECKED_DOMAIN) among their nodes.
    #[must_use]
    pub fn with_checks(self, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), has_checks: true, ..self }
    }

    /// The same for a model in training mode. ONNX Runtime writes its running statistics over the constants that they
    /// start from, and makes one constant of those that are equal: its outputs would depend on the runs before.
    #[must_use]
    pub fn with_constants_apart(self) -> Self {
        Self { has_constants_apart: true, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes in place of the file's.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    pub(super) fn commit(&self, mut builder: SessionBuilder) -> ort::Result<Session> {
        if self.has_checks {
            builder = builder.with_operators(checked::operators()?)?;
        }
        if self.has_constants_apart {
            builder = builder.with_disabled_optimizers("ConstantSharing")?;
        }
        let Some(bytes) = &self.bytes else { return builder.commit_from_file(&self.path) };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // A path that is not UTF-8 cannot be given; only models with tensors in other files would need it.
        if let Some(folder) = folder.unwrap_or(Path::new(".")).to_str() {
            builder = builder.with_config_entry(FOLDER, folder)?;
        }
        builder.commit_from_memory(bytes)
    }
}
