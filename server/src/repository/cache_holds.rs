//! Keeps the folders of the download cache that served versions need, and removes the others.

use std::{collections::BTreeMap, path::PathBuf};

use storage::{Cache, Held};

use super::{error::RepositoryError, scan::Key, source::Candidate};

/// The download cache, with holds on the folders that must not be removed.
#[derive(Debug)]
pub(super) struct CacheHolds {
    cache: Cache,
    /// Whether any place is remote. A server that only reads local folders leaves the cache alone, which other servers
    /// may use.
    is_used: bool,
    held: BTreeMap<Key, Held>,
    has_leftovers: bool,
}

impl CacheHolds {
    pub(super) fn new(cache: Cache, is_used: bool) -> Self {
        // Folders from before the start count as left over until they are used again.
        Self { cache, is_used, held: BTreeMap::new(), has_leftovers: true }
    }

    /// Downloads the files of a version. Returns the path of the ONNX file, and the hold to pass to [`Self::keep`] once
    /// the version is loaded.
    pub(super) async fn fetch(&mut self, candidate: &Candidate) -> Result<(PathBuf, Held), RepositoryError> {
        self.has_leftovers = true; // the download is left over if the version fails to load
        Ok(candidate.fetch(&self.cache).await?)
    }

    /// Keeps the files of a version that was loaded, and releases those that it was loaded from before.
    pub(super) fn keep(&mut self, key: Key, held: Held) {
        self.held.insert(key, held);
    }

    /// Releases the files of a version that is not served any more.
    pub(super) fn release(&mut self, key: &Key) {
        self.has_leftovers |= self.held.remove(key).is_some();
    }

    /// Removes folders that no version needs, in the background, if there may be any.
    pub(super) fn sweep(&mut self) {
        if !std::mem::take(&mut self.has_leftovers) || !self.is_used {
            return;
        }
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || match cache.sweep() {
            Ok(0) => {}
            Ok(folders) => tracing::info!(folders, "removed downloads that no model uses any more"),
            Err(error) => tracing::warn!(%error, "cannot remove downloads that no model uses any more"),
        });
    }
}
