//! The registry of models and versions, and which of them are ready. Readers get an immutable snapshot; each change
//! replaces it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use oip::{IndexEntry, ModelState};
use tokio::sync::watch;

use super::{suggestion, version};
use crate::error::{ErrorCode, ServeError};
use crate::loading::ServedModel;

/// The state of a version of a model.
#[derive(Clone, Debug)]
pub enum State {
    /// It is being downloaded, loaded or warmed up.
    Loading,
    /// It serves requests.
    Ready(Arc<ServedModel>),
    /// It could not be loaded, for this reason.
    Failed(String),
    /// A client has unloaded it.
    Unloaded,
}

/// The progress of the server's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// The repositories are being read, so that an unknown name may still turn out to be a model.
    #[default]
    Reading,
    /// All names are known.
    Listed,
    /// The server has tried to load every model.
    Started,
}

#[derive(Clone, Debug, Default)]
struct Snapshot {
    progress: Progress,
    /// Versions that were there at the start and are not loaded yet. While there are any, the server is not ready.
    missing: BTreeSet<(String, String)>,
    /// Whether places could not be read at the start. Until they are read, the server is not ready.
    has_unread_places: bool,
    /// Whether the server is ready even if models of the start could not be loaded (`--strict-readiness` is off).
    is_lenient: bool,
    /// Versions of each model, oldest first.
    models: BTreeMap<String, Vec<(String, State)>>,
}

/// The models of the server.
#[derive(Debug, Default)]
pub struct Registry {
    snapshot: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    changes: watch::Sender<()>,
}

impl Registry {
    /// Returns a version of the model `name` that is ready: the requested one, or the newest.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an unknown name or version; [`ErrorCode::Unavailable`] for one that is not ready.
    pub fn get(&self, name: &str, wanted: Option<&str>) -> Result<Arc<ServedModel>, ServeError> {
        let model = self.loaded(name, wanted)?;
        match model.stuck() {
            None => Ok(model),
            Some(runs) => {
                let message = format!("model '{name}' is not ready: {}", runs_do_not_stop(runs));
                Err(ServeError::new(ErrorCode::Unavailable, message))
            }
        }
    }

    /// Returns a loaded version, even if some of its runs do not stop; otherwise like [`Registry::get`].
    ///
    /// # Errors
    /// As [`Registry::get`].
    pub(super) fn loaded(&self, name: &str, wanted: Option<&str>) -> Result<Arc<ServedModel>, ServeError> {
        let snapshot = self.snapshot.load();
        let Some(versions) = snapshot.models.get(name) else {
            return Err(unknown(&snapshot, name));
        };
        let Some(wanted) = wanted else {
            let ready = versions.iter().rev().find_map(|(_, state)| ready(state));
            return ready.ok_or_else(|| not_ready(name, versions.last()));
        };
        let Some(found) = versions.iter().find(|(version, _)| version == wanted) else {
            return Err(suggestion::unknown_version(
                name,
                wanted,
                versions.iter().map(|(version, _)| &**version),
            ));
        };
        ready(&found.1).ok_or_else(|| not_ready(name, Some(found)))
    }

    /// Returns the names of all models, ready or not.
    pub fn names(&self) -> Vec<String> {
        self.snapshot.load().models.keys().cloned().collect()
    }

    /// Returns the versions of `name` that are ready, oldest first.
    pub fn ready_versions(&self, name: &str) -> Vec<String> {
        let snapshot = self.snapshot.load();
        let versions = snapshot.models.get(name).into_iter().flatten();
        let answers = |state| ready(state).is_some_and(|model| model.stuck().is_none());
        versions.filter(|(_, state)| answers(state)).map(|(version, _)| version.clone()).collect()
    }

    /// Returns loaded versions, oldest first: the requested version of `name`, all versions of `name`, or without a
    /// name those of every model.
    ///
    /// # Errors
    /// As [`Registry::get`], if `name` is given.
    pub fn ready(
        &self,
        name: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<Vec<Arc<ServedModel>>, ServeError> {
        if let Some(name) = name {
            let model = self.loaded(name, wanted)?;
            if wanted.is_some() {
                return Ok(vec![model]);
            }
        }
        let snapshot = self.snapshot.load();
        let models = snapshot.models.iter().filter(|(known, _)| name.is_none_or(|name| name == *known));
        Ok(models.flat_map(|(_, versions)| versions).filter_map(|(_, state)| ready(state)).collect())
    }

    /// Returns every version of every model, with its state.
    pub fn index(&self) -> Vec<IndexEntry> {
        let snapshot = self.snapshot.load();
        let entry = |name: &str, version: &str, state: &State| {
            let (state, reason) = match state {
                State::Loading => (ModelState::Loading, String::new()),
                State::Ready(model) => match model.stuck() {
                    None => (ModelState::Ready, model.remark()),
                    Some(runs) => (ModelState::Unavailable, runs_do_not_stop(runs)),
                },
                State::Failed(reason) => (ModelState::Unavailable, reason.clone()),
                State::Unloaded => (ModelState::Unavailable, "unloaded".to_owned()),
            };
            IndexEntry { name: name.to_owned(), version: version.to_owned(), state, reason }
        };
        let versions = snapshot.models.iter().flat_map(|(name, versions)| {
            versions.iter().map(move |(version, state)| entry(name, version, state))
        });
        versions.collect()
    }

    /// Returns whether the server is ready: every model of the start was loaded, and there is at least one model.
    /// Models that fail to load or are unloaded later do not change this, since the other models still serve requests.
    /// If readiness is not strict, it is enough that the server has tried to load every model.
    pub fn is_ready(&self) -> bool {
        let snapshot = self.snapshot.load();
        let is_whole =
            snapshot.missing.is_empty() && !snapshot.has_unread_places && !snapshot.models.is_empty();
        snapshot.progress == Progress::Started && (snapshot.is_lenient || is_whole)
    }

    /// Returns every version of `name` in any state, oldest first.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an unknown name.
    pub fn versions(&self, name: &str) -> Result<Vec<String>, ServeError> {
        let snapshot = self.snapshot.load();
        let versions = snapshot.models.get(name).ok_or_else(|| unknown(&snapshot, name))?;
        Ok(versions.iter().map(|(version, _)| version.clone()).collect())
    }

    /// Makes the error for a model that no repository has.
    pub(super) fn not_in_repository(name: &str) -> ServeError {
        let message = format!("no repository has a model '{}'", suggestion::shortened(name));
        ServeError::new(ErrorCode::NotFound, message)
    }

    /// Sets the state of a version, and adds the version if it is new.
    pub fn set(&self, name: &str, version: &str, state: State) {
        self.change(|snapshot| {
            let versions = snapshot.models.entry(name.to_owned()).or_default();
            match versions.iter_mut().find(|(known, _)| known == version) {
                Some((_, known)) => *known = state,
                None => versions.push((version.to_owned(), state)),
            }
            versions.sort_by(|left, right| version::compare(&left.0, &right.0));
        });
    }

    /// Removes a version. A model without versions is removed too.
    pub fn remove(&self, name: &str, version: &str) {
        self.change(|snapshot| {
            if let Some(versions) = snapshot.models.get_mut(name) {
                versions.retain(|(known, _)| known != version);
                if versions.is_empty() {
                    snapshot.models.remove(name);
                }
            }
        });
    }

    /// Records that all names are known, so that any other name is wrong.
    pub fn set_listed(&self) {
        self.change(|snapshot| snapshot.progress = snapshot.progress.max(Progress::Listed));
    }

    /// Returns whether the server has tried to load every model of the start.
    pub fn is_started(&self) -> bool {
        self.snapshot.load().progress == Progress::Started
    }

    /// Records that the server has tried to load every model of the start. If readiness is strict, the server is not
    /// ready while one of these models is not loaded and still there, or while places are unread (`has_unread_places`).
    pub fn set_started(&self, is_strict: bool, has_unread_places: bool) {
        self.change(|snapshot| {
            let versions = |(name, versions): (&String, &Vec<(String, State)>)| {
                versions.iter().map(|(version, _)| (name.clone(), version.clone())).collect::<Vec<_>>()
            };
            snapshot.progress = Progress::Started;
            snapshot.is_lenient = !is_strict;
            snapshot.has_unread_places = has_unread_places;
            snapshot.missing = snapshot.models.iter().flat_map(versions).collect();
        });
    }

    /// Records that every place has been read.
    pub fn set_places_read(&self) {
        if self.snapshot.load().has_unread_places {
            self.change(|snapshot| snapshot.has_unread_places = false);
        }
    }

    /// Returns a receiver that is notified of every later change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot)) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.snapshot.load());
        edit(&mut next);
        let Snapshot { missing, models, .. } = &mut next;
        missing.retain(|(name, version)| is_missing(models, name, version));
        self.snapshot.store(Arc::new(next));
        self.changes.send_replace(());
    }
}

/// Returns whether a version is still missing: neither loaded, nor unloaded by a client, nor removed.
fn is_missing(models: &BTreeMap<String, Vec<(String, State)>>, name: &str, version: &str) -> bool {
    let known = models.get(name).and_then(|versions| versions.iter().find(|(known, _)| known == version));
    matches!(known, Some((_, State::Loading | State::Failed(_))))
}

fn ready(state: &State) -> Option<Arc<ServedModel>> {
    match state {
        State::Ready(model) => Some(Arc::clone(model)),
        State::Loading | State::Failed(_) | State::Unloaded => None,
    }
}

fn runs_do_not_stop(runs: usize) -> String {
    format!("{runs} of its runs do not stop, although no request waits for their outputs any more")
}

fn unknown(snapshot: &Snapshot, name: &str) -> ServeError {
    if snapshot.progress == Progress::Reading {
        return ServeError::new(ErrorCode::Unavailable, "the model repositories are still being read");
    }
    suggestion::unknown_model(name, snapshot.models.keys().map(String::as_str))
}

fn not_ready(name: &str, version: Option<&(String, State)>) -> ServeError {
    let message = match version {
        Some((version, State::Failed(_))) => {
            format!("model '{name}' version '{version}' could not be loaded")
        }
        Some((version, State::Unloaded)) => {
            format!("model '{name}' version '{version}' is unloaded: send a request to load it")
        }
        Some((version, State::Loading | State::Ready(_))) => {
            format!("model '{name}' version '{version}' is still loading")
        }
        None => format!("model '{name}' has no version"),
    };
    ServeError::new(ErrorCode::Unavailable, message)
}
