//! What the log says of models that are not served: once, and again when it changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{error::RepositoryError, scan::Key};

/// What was said already.
#[derive(Debug, Default)]
pub(super) struct LoggedOnce {
    errors: BTreeMap<Key, String>,
    warnings: BTreeSet<String>,
    places: BTreeSet<String>,
}

impl LoggedOnce {
    /// Says what is wrong with a version, unless that was the last thing said of it.
    pub(super) fn error(&mut self, key: &Key, error: &RepositoryError) {
        let text = error.to_string();
        if self.errors.get(key) != Some(&text) {
            tracing::error!(%error, "cannot load");
            self.errors.insert(key.clone(), text);
        }
    }

    /// Says which places cannot be looked through now, where that is new.
    pub(super) fn places(&mut self, errors: &[RepositoryError]) {
        let texts: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
        for error in texts.difference(&self.places) {
            tracing::warn!(error, "cannot look for changes of the models");
        }
        self.places = texts;
    }

    /// A version has no fault any more.
    pub(super) fn mended(&mut self, key: &Key) {
        self.errors.remove(key);
    }

    /// Says what is new among the warnings that hold now.
    pub(super) fn warnings(&mut self, warnings: Vec<String>) {
        for warning in warnings.iter().filter(|&warning| !self.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.warnings = warnings.into_iter().collect();
    }
}
