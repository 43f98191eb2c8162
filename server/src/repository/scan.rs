//! One look at all places that hold models: what is to be served, what is broken, and which places could not be read.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::RepositoryError,
    source::{Broken, Candidate, Found, Source},
};

/// Model and version.
pub(super) type Key = (String, String);

/// What all places hold together.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) candidates: BTreeMap<Key, Candidate>,
    /// By the model's name: none of its versions is a candidate.
    pub(super) broken: BTreeMap<String, Broken>,
    /// Models whose folders may not be read: whether they are still there is not known.
    pub(super) hidden: BTreeSet<String>,
    /// Places that could not be looked through.
    pub(super) unread: Vec<RepositoryError>,
    /// What people should know, a line each.
    pub(super) warnings: Vec<String>,
    /// Why the folder of the model that was asked for is not served, where there is such a folder.
    pub(super) reason: Option<String>,
}

impl Scan {
    /// Looks through the places, for every model or for one.
    pub(super) async fn of(sources: &mut [Source], only: Option<&str>) -> Self {
        let mut sight = Self::default();
        // Where each model lies.
        let mut homes: BTreeMap<String, String> = BTreeMap::new();
        for source in sources {
            match source.look(only).await {
                Ok(found) => sight.add(source, found, only, &mut homes),
                Err(error) if only.is_some() && error.is_absent() => {}
                Err(error) => sight.unread.push(error),
            }
        }
        sight
    }

    /// Whether the places have a model of this name.
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
        homes: &mut BTreeMap<String, String>,
    ) {
        if let Some(name) = only {
            self.reason = self.reason.take().or_else(|| source.reason_against(name, &found));
        }
        let skipped: Vec<String> = found.skipped.iter().map(ToString::to_string).collect();
        let is_empty = !found.has_models && found.broken.is_empty();
        if is_empty && only.is_none() {
            let location = source.location().to_string();
            self.unread.push(RepositoryError::Empty { location, skipped });
            return;
        }
        let place = source.location();
        self.warnings.extend(skipped.iter().map(|passed| format!("passed over in {place}: {passed}")));
        self.warnings.extend(found.warnings);
        self.hidden.extend(
            found
                .skipped
                .iter()
                .filter(|passed| passed.is_hidden())
                .map(|passed| source.name_of(passed.model())),
        );
        // A model is the versions of one folder, in one place.
        let mut here: BTreeMap<String, String> = BTreeMap::new();
        for candidate in found.candidates {
            let Candidate { name, version, .. } = &candidate;
            let home = source.home(&candidate);
            let own = here.entry(name.clone()).or_insert_with(|| home.clone());
            if let Some(first) = homes.get(name).or(Some(&*own).filter(|own| **own != home)) {
                let broken = twice(name, version, first, &home);
                self.broken.entry(name.clone()).or_insert(broken);
                continue;
            }
            self.candidates.insert((name.clone(), version.clone()), candidate);
        }
        for broken in found.broken {
            let home = place.to_string();
            if let Some(first) = homes.get(&broken.name) {
                let twice = twice(&broken.name, &broken.version, first, &home);
                self.broken.entry(broken.name).or_insert(twice);
            } else {
                here.insert(broken.name.clone(), home);
                self.broken.insert(broken.name.clone(), broken);
            }
        }
        homes.extend(here);
        self.candidates.retain(|(name, _), _| !self.broken.contains_key(name));
    }
}

fn twice(name: &str, version: &str, first: &str, second: &str) -> Broken {
    let (name, first, second) = (name.to_owned(), first.to_owned(), second.to_owned());
    let error = RepositoryError::Twice { name: name.clone(), first, second };
    Broken { name, version: version.to_owned(), error }
}
