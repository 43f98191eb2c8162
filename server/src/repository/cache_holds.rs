//! Which folders of the download cache the served versions need, and the removal of the others.

use std::{collections::BTreeMap, path::PathBuf};

use storage::{Cache, Held};

use super::{error::RepositoryError, scan::Key, source::Candidate};

/// The cache, and the holds on its folders that keep them from being removed.
#[derive(Debug)]
pub(super) struct CacheHolds {
    cache: Cache,
    /// Whether anything is downloaded at all: another server's cache is no concern of one that reads folders.
    is_used: bool,
    held: BTreeMap<Key, Held>,
    has_leftovers: bool,
}

impl CacheHolds {
    pub(super) fn new(cache: Cache, is_used: bool) -> Self {
        // What was there before the start is left over until it is used again.
        Self { cache, is_used, held: BTreeMap::new(), has_leftovers: true }
    }

    /// Brings the files of a version here; returns the path of the ONNX file, and what is to be kept once it is loaded.
    pub(super) async fn fetch(&mut self, candidate: &Candidate) -> Result<(PathBuf, Held), RepositoryError> {
        self.has_leftovers = true; // it may not load
        Ok(candidate.fetch(&self.cache).await?)
    }

    /// A version was loaded from these files; those that it was loaded from before are not needed any more.
    pub(super) fn keep(&mut self, key: Key, held: Held) {
        self.held.insert(key, held);
    }

    /// A version is not served any more.
    pub(super) fn release(&mut self, key: &Key) {
        self.has_leftovers |= self.held.remove(key).is_some();
    }

    /// Removes what no version needs, if there may be any; in the background.
    pub(super) fn sweep(&mut self) {
        if !std::mem::take(&mut self.has_leftovers) || !self.is_used {
            return;
        }
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || match cache.sweep() {
            Ok(0) => {}
            Ok(folders) => tracing::info!(folders, "removed downloads that nothing is served from any more"),
            Err(error) => tracing::warn!(%error, "downloads that nothing is served from any more stay"),
        });
    }
}
