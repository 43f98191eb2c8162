//! A scan of all places with models: the versions to serve, the broken models, and the places that could not be read.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::RepositoryError,
    source::{Broken, Candidate, Found, Remarks, Source},
};

/// Names of a model and a version.
pub(super) type Key = (String, String);

/// The combined contents of all places.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) candidates: BTreeMap<Key, Candidate>,
    /// Broken models by name. None of their versions is a candidate.
    pub(super) broken: BTreeMap<String, Broken>,
    /// Models whose folders cannot be read, so that it is unknown whether they still exist.
    pub(super) hidden: BTreeSet<String>,
    /// Errors of the places that could not be read.
    pub(super) unread_places: Vec<RepositoryError>,
    /// Lines for the log.
    pub(super) remarks: Remarks,
    /// Why the requested model is not served, if its folder exists.
    pub(super) reason: Option<String>,
}

impl Scan {
    /// Scans the places for every model, or for the model `only`.
    pub(super) async fn of(sources: &mut [Source], only: Option<&str>) -> Self {
        let mut scan = Self::default();
        // The location of each model.
        let mut locations: BTreeMap<String, String> = BTreeMap::new();
        for source in sources {
            match source.find(only).await {
                Ok(found) => scan.add(source, found, only, &mut locations),
                Err(error) if only.is_some() && error.is_absent() => {}
                Err(error) => scan.unread_places.push(error),
            }
        }
        scan
    }

    /// Returns whether the places may have a model of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.candidates.keys().any(|(known, _)| known == name)
            || self.broken.contains_key(name)
            || self.hidden.contains(name)
    }

    fn add(
        &mut self,
        source: &Source,
        found: Found,
        only: Option<&str>,
        locations: &mut BTreeMap<String, String>,
    ) {
        if let Some(name) = only {
            self.reason = self.reason.take().or_else(|| source.reason_not_served(name, &found));
        }
        let skipped: Vec<String> = found.skipped.iter().map(ToString::to_string).collect();
        let is_empty = !found.has_models && found.broken.is_empty();
        if is_empty && only.is_none() {
            let location = source.location().to_string();
            self.unread_places.push(RepositoryError::Empty { location, skipped });
            return;
        }
        let place = source.location();
        let skipped = skipped.iter().map(|passed| format!("skipped in {place}: {passed}"));
        self.remarks.warnings.extend(skipped);
        self.remarks.append(found.remarks);
        self.hidden.extend(
            found
                .skipped
                .iter()
                .filter(|passed| passed.is_hidden())
                .map(|passed| source.name_of(passed.model())),
        );
        // All versions of a model must be in one folder of one place.
        let mut in_this_place: BTreeMap<String, String> = BTreeMap::new();
        for candidate in found.candidates {
            let Candidate { name, version, .. } = &candidate;
            let location = source.model_location(&candidate);
            let first_here = in_this_place.entry(name.clone()).or_insert_with(|| location.clone());
            if let Some(first) =
                locations.get(name).or(Some(&*first_here).filter(|first_here| **first_here != location))
            {
                let broken = duplicate(name, version, first, &location);
                self.broken.entry(name.clone()).or_insert(broken);
                continue;
            }
            self.candidates.insert((name.clone(), version.clone()), candidate);
        }
        for broken in found.broken {
            let location = place.to_string();
            if let Some(first) = locations.get(&broken.name) {
                let duplicate = duplicate(&broken.name, &broken.version, first, &location);
                self.broken.entry(broken.name).or_insert(duplicate);
            } else {
                in_this_place.insert(broken.name.clone(), location);
                self.broken.insert(broken.name.clone(), broken);
            }
        }
        locations.extend(in_this_place);
        self.candidates.retain(|(name, _), _| !self.broken.contains_key(name));
    }
}

fn duplicate(name: &str, version: &str, first: &str, second: &str) -> Broken {
    let (name, first, second) = (name.to_owned(), first.to_owned(), second.to_owned());
    let error = RepositoryError::DuplicateModel { name: name.clone(), first, second };
    Broken { name, version: version.to_owned(), error }
}
