//! Which models there are and which of them answer. Readers see one snapshot; a change replaces it whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use oip::{IndexEntry, ModelState};
use tokio::sync::watch;

use super::version;
use crate::error::{ErrorCode, ServeError};
use crate::loading::ServedModel;

/// How far a version of a model is.
#[derive(Clone, Debug)]
pub enum State {
    /// Being downloaded, loaded or warmed.
    Loading,
    /// Answers.
    Ready(Arc<ServedModel>),
    /// Could not be loaded, and why.
    Failed(String),
    /// Taken out of service by a client.
    Unloaded,
}

/// How far the start is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// The repositories are being read: no name is known to be wrong.
    #[default]
    Reading,
    /// They have been looked through.
    Listed,
    /// Every model has been tried.
    Started,
}

#[derive(Clone, Debug, Default)]
struct Snapshot {
    progress: Progress,
    /// Versions of the start that could not be loaded. While there are any, the server is not ready.
    owed: BTreeSet<(String, String)>,
    /// Whether there are places that could not be looked through at the start. Until they are, the server is not ready.
    owes_places: bool,
    /// Whether the server is ready although models of the start could not be loaded.
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
    /// The version of `name` that answers: the one asked for, or the newest that is ready.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a name or version that there is not, [`ErrorCode::Unavailable`] for
    /// one that is not ready.
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

    /// The same, also one whose runs do not stop.
    ///
    /// # Errors
    /// As [`Registry::get`], but for that.
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
            let known: Vec<&str> = versions.iter().map(|(version, _)| version.as_str()).collect();
            let known = known.join(", ");
            let message = format!("model '{name}' has no version '{}': there are {known}", shown(wanted));
            return Err(ServeError::new(ErrorCode::NotFound, message));
        };
        ready(&found.1).ok_or_else(|| not_ready(name, Some(found)))
    }

    /// The names of all models, ready or not.
    pub fn names(&self) -> Vec<String> {
        self.snapshot.load().models.keys().cloned().collect()
    }

    /// The versions of `name` that are ready, oldest first.
    pub fn ready_versions(&self, name: &str) -> Vec<String> {
        let snapshot = self.snapshot.load();
        let versions = snapshot.models.get(name).into_iter().flatten();
        let answers = |state| ready(state).is_some_and(|model| model.stuck().is_none());
        versions.filter(|(_, state)| answers(state)).map(|(version, _)| version.clone()).collect()
    }

    /// The versions of `name` that are loaded, oldest first: the one asked for, or all of them; without a
    /// name, those of every model.
    ///
    /// # Errors
    /// As [`Registry::get`], where there is a name.
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

    /// Every version of every model, and how far it is.
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

    /// Whether every model of the start has been loaded, and there is still a model. What is loaded, fails to
    /// load or is unloaded later leaves the server ready: the other models go on answering. Where readiness is not
    /// strict, whether every model of the start has been tried.
    pub fn is_ready(&self) -> bool {
        let snapshot = self.snapshot.load();
        let is_whole = snapshot.owed.is_empty() && !snapshot.owes_places && !snapshot.models.is_empty();
        snapshot.progress == Progress::Started && (snapshot.is_lenient || is_whole)
    }

    /// Every version of `name`, oldest first, in whatever state it is.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a name that there is not.
    pub fn versions(&self, name: &str) -> Result<Vec<String>, ServeError> {
        let snapshot = self.snapshot.load();
        let versions = snapshot.models.get(name).ok_or_else(|| unknown(&snapshot, name))?;
        Ok(versions.iter().map(|(version, _)| version.clone()).collect())
    }

    /// The error for a model that no repository has.
    pub(super) fn not_in_repository(name: &str) -> ServeError {
        let message = format!("no repository has a model '{}'", shown(name));
        ServeError::new(ErrorCode::NotFound, message)
    }

    /// Puts a version in its place, in whatever state it is.
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

    /// Takes a version away; a model whose last one it was goes with it.
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

    /// From now on a name that is not here is a wrong one.
    pub fn set_listed(&self) {
        self.change(|snapshot| snapshot.progress = snapshot.progress.max(Progress::Listed));
    }

    /// Whether every model of the start has been tried.
    pub fn is_started(&self) -> bool {
        self.snapshot.load().progress == Progress::Started
    }

    /// From now on every model of the start has been tried. Where readiness is strict, what could not be loaded, and
    /// places that could not be read (`owes_places`), keep the server from being ready until they can, or are gone.
    pub fn set_started(&self, is_strict: bool, owes_places: bool) {
        self.change(|snapshot| {
            let versions = |(name, versions): (&String, &Vec<(String, State)>)| {
                versions.iter().map(|(version, _)| (name.clone(), version.clone())).collect::<Vec<_>>()
            };
            snapshot.progress = Progress::Started;
            snapshot.is_lenient = !is_strict;
            snapshot.owes_places = owes_places;
            snapshot.owed = snapshot.models.iter().flat_map(versions).collect();
        });
    }

    /// From now on every place has been looked through.
    pub fn set_places_read(&self) {
        if self.snapshot.load().owes_places {
            self.change(|snapshot| snapshot.owes_places = false);
        }
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot)) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.snapshot.load());
        edit(&mut next);
        let Snapshot { owed, models, .. } = &mut next;
        owed.retain(|(name, version)| is_owed(models, name, version));
        self.snapshot.store(Arc::new(next));
        self.changes.send_replace(());
    }
}

/// Whether a version is still to be loaded; one that has gone or that a client has unloaded is not.
fn is_owed(models: &BTreeMap<String, Vec<(String, State)>>, name: &str, version: &str) -> bool {
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
    format!("{runs} of its runs do not stop, though nobody waits for them any more")
}

fn unknown(snapshot: &Snapshot, name: &str) -> ServeError {
    if snapshot.progress == Progress::Reading {
        return ServeError::new(ErrorCode::Unavailable, "the model repositories are still being read");
    }
    let known: Vec<&str> = snapshot.models.keys().map(String::as_str).take(16).collect();
    let message = format!("unknown model '{}': there are {}", shown(name), known.join(", "));
    ServeError::new(ErrorCode::NotFound, message)
}

fn not_ready(name: &str, version: Option<&(String, State)>) -> ServeError {
    let message = match version {
        Some((version, State::Failed(_))) => {
            format!("model '{name}' version '{version}' could not be loaded")
        }
        Some((version, State::Unloaded)) => {
            format!("model '{name}' version '{version}' is unloaded until it is asked to load")
        }
        Some((version, State::Loading | State::Ready(_))) => {
            format!("model '{name}' version '{version}' is still loading")
        }
        None => format!("model '{name}' has no version"),
    };
    ServeError::new(ErrorCode::Unavailable, message)
}

/// What a client sent, short enough to send back.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
