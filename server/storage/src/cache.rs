//! Downloaded objects that outlive a restart.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::download::{self, Placed};
use crate::object::Object;
use crate::transfer::hex;
use crate::{Result, StorageError, Store};

/// A folder of downloads, one subfolder for each set of objects that was ever asked for.
///
/// A subfolder is named by the store's location and its objects' keys, sizes and `ETag`s, and appears by a
/// rename when it is complete. So what is there is whole and current, a restart downloads nothing that did not
/// change, and processes may share the folder: of two that download the same, one placement wins.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in a folder, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder with these objects of the store, each at its key: downloaded, or found here, or (for a store
    /// that is itself a folder) the store's own.
    ///
    /// Objects that carry a SHA-256 are cached under it as well, so that they are checked at least once.
    ///
    /// # Errors
    /// As [`Store::download`].
    pub async fn fetch(&self, store: &Store, objects: &[Object]) -> Result<PathBuf> {
        if let Some(path) = store.local_path() {
            return Ok(if path.is_file() { download::parent(path).to_owned() } else { path.to_owned() });
        }
        if let Some(entry) = self.entry(store, objects).filter(|entry| entry.is_dir()) {
            tracing::debug!(location = %store.location(), folder = %entry.display(), "already downloaded");
            return Ok(entry);
        }
        let (folder, fetched) = store.fetch(objects, &self.root, &|_| ()).await?;
        // named by what arrived, which may be newer than what was asked for
        let arrived: Vec<_> = fetched.into_iter().map(|fetched| fetched.object).collect();
        let entry = self.entry(store, &arrived).unwrap_or_else(|| self.unique(&folder));
        match download::place(folder, &entry)? {
            Placed::Now | Placed::Before => Ok(entry),
        }
    }

    /// Removes a folder that [`Cache::fetch`] returned, once nobody needs it. Other folders are left alone.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the disk refuses.
    pub fn evict(&self, folder: &Path) -> Result<()> {
        if folder.parent() != Some(&self.root) {
            return Ok(());
        }
        std::fs::remove_dir_all(folder).map_err(StorageError::io(folder, "remove"))
    }

    /// Where these objects are kept; `None` where one has no `ETag` to recognise it by.
    fn entry(&self, store: &Store, objects: &[Object]) -> Option<PathBuf> {
        let mut objects: Vec<_> = objects.iter().collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        let mut hasher = Sha256::new();
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        field(&store.location().to_string());
        for object in objects {
            field(&object.key);
            field(&object.size.to_string());
            field(object.etag.as_deref()?);
            field(object.sha256.as_deref().unwrap_or_default());
        }
        Some(self.root.join(&hex(&hasher.finalize())[..32]))
    }

    fn unique(&self, folder: &tempfile::TempDir) -> PathBuf {
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
        self.root.join(name.trim_start_matches(".part-"))
    }
}
