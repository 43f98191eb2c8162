//! Logs what is wrong with models and places once, and again when it changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{error::RepositoryError, scan::Key, source::Remarks};

/// What was logged already.
#[derive(Debug, Default)]
pub(super) struct LoggedOnce {
    errors: BTreeMap<Key, String>,
    warnings: BTreeSet<String>,
    notes: BTreeSet<String>,
    places: BTreeSet<String>,
}

impl LoggedOnce {
    /// Logs the error of a version, unless it was logged last for this version.
    pub(super) fn error(&mut self, key: &Key, error: &RepositoryError) {
        let text = error.to_string();
        if self.errors.get(key) != Some(&text) {
            tracing::error!(%error, "cannot load");
            self.errors.insert(key.clone(), text);
        }
    }

    /// Logs the places that cannot be read, unless they were logged last time.
    pub(super) fn places(&mut self, errors: &[RepositoryError]) {
        let texts: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
        for error in texts.difference(&self.places) {
            tracing::warn!(
                error,
                "cannot read a model repository: changes are not noticed until it responds"
            );
        }
        self.places = texts;
    }

    /// Forgets the error of a version, which is mended.
    pub(super) fn clear_error(&mut self, key: &Key) {
        self.errors.remove(key);
    }

    /// Logs the remarks that did not hold last time.
    pub(super) fn remarks(&mut self, Remarks { warnings, notes }: Remarks) {
        for warning in warnings.iter().filter(|&warning| !self.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
        for note in notes.iter().filter(|&note| !self.notes.contains(note)) {
            tracing::info!("{note}");
        }
        self.warnings = warnings.into_iter().collect();
        self.notes = notes.into_iter().collect();
    }
}
