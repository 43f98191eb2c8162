//! Which models there are and which of them answer. Readers see one snapshot; a change replaces it whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use oip::{IndexEntry, ModelState};
use tokio::sync::watch;

use super::{served::ServedModel, version};
use crate::error::{ErrorCode, ServeError};

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

#[derive(Clone, Debug, Default)]
struct Snapshot {
    /// Whether the repositories have been looked through: before that, no name is known to be wrong.
    listed: bool,
    /// Whether every model of the start has been loaded.
    started: bool,
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
    /// load or is unloaded later leaves the server ready: the other models go on answering.
    pub fn is_ready(&self) -> bool {
        let snapshot = self.snapshot.load();
        snapshot.started && !snapshot.models.is_empty()
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
        self.change(|snapshot| snapshot.listed = true);
    }

    /// Whether every model of the start has been loaded.
    pub fn is_started(&self) -> bool {
        self.snapshot.load().started
    }

    /// From now on every model of the start is loaded.
    pub fn set_started(&self) {
        self.change(|snapshot| snapshot.started = true);
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot)) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.snapshot.load());
        edit(&mut next);
        self.snapshot.store(Arc::new(next));
        self.changes.send_replace(());
    }
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
    if !snapshot.listed {
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
