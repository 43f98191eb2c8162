//! Keeping what is served in step with what the places hold: at start-up, as often as configured, and
//! whenever a client asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use storage::Cache;
use tokio::time::{Instant, sleep_until};

use super::{
    control::{Command, Commands, Verb},
    error::{LoadError, RepositoryError},
    load::Loader,
    registry::{Registry, State},
    source::{Candidate, Source},
};
use crate::{config::Models, error::ServeError, process};

/// Pauses between attempts to reach a store at start-up.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Model and version.
type Key = (String, String);

/// Why models are being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// The server starts: everything must load.
    Start,
    /// Somebody changed something: what cannot be loaded is tried again when it has changed.
    Change,
    /// A client asked: what could not be loaded is tried again.
    Request,
}

/// The places that hold models, and what was loaded from them.
#[derive(Debug)]
pub struct Repository {
    sources: Vec<Source>,
    cache: Cache,
    loader: Arc<Loader>,
    registry: Arc<Registry>,
    /// What was tried last for each version, and whether it loaded.
    tried: BTreeMap<Key, (Candidate, bool)>,
    /// Models that stay out of service until a client asks for them.
    unloaded: BTreeSet<String>,
    startup_timeout: Duration,
    poll_interval: Option<Duration>,
    await_folder: bool,
}

impl Repository {
    /// Opens the places; nothing is read yet.
    ///
    /// # Errors
    /// Settings that cannot be used, such as a CA bundle that cannot be read.
    pub fn open(models: &Models, loader: Loader, registry: Arc<Registry>) -> Result<Self, RepositoryError> {
        let open = |place: &crate::config::Place| Source::open(place.clone(), &models.store);
        Ok(Self {
            sources: models.places.iter().map(open).collect::<Result<_, _>>()?,
            cache: Cache::new(&models.cache_dir),
            loader: Arc::new(loader),
            registry,
            tried: BTreeMap::new(),
            unloaded: BTreeSet::new(),
            startup_timeout: models.startup_timeout,
            poll_interval: models.poll_interval,
            await_folder: models.await_folder,
        })
    }

    /// Loads every model. While a store does not answer, waits for it as long as start-up may take.
    ///
    /// # Errors
    /// The first thing that waiting cannot mend: see [`RepositoryError`].
    pub async fn load_all(&mut self) -> Result<(), RepositoryError> {
        let give_up = Instant::now() + self.startup_timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(error) = self.sync(Occasion::Start).await else { break };
            let may_come = error.is_transient() || (self.await_folder && error.is_absent());
            if !may_come || Instant::now() + pause >= give_up {
                return Err(error);
            }
            tracing::warn!(%error, "waiting for the models, next attempt in {pause:?}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.registry.set_started();
        Ok(())
    }

    /// Follows changes and commands for as long as the server lives, one at a time. What cannot be loaded is
    /// logged; what was served before goes on being served.
    pub async fn follow(&mut self, Commands(mut commands): Commands) {
        let mut next_look = self.next_look();
        loop {
            tokio::select! {
                () = moment(next_look) => {
                    if let Err(error) = self.sync(Occasion::Change).await {
                        tracing::warn!(%error, "cannot look for changes of the models");
                    }
                    next_look = self.next_look();
                }
                Some(command) = commands.recv() => self.obey(command).await,
            }
        }
    }

    /// Models with a request for people to try.
    pub fn examples(&self) -> Vec<(String, PathBuf)> {
        let example = |name: String| {
            let path = self.sources.iter().find_map(|source| source.example(&name))?;
            Some((name, path))
        };
        self.registry.names().into_iter().filter_map(example).collect()
    }

    fn next_look(&self) -> Option<Instant> {
        self.poll_interval.map(|interval| Instant::now() + interval)
    }

    async fn obey(&mut self, Command { verb, model, done }: Command) {
        let result = match verb {
            Verb::Load => self.load_model(&model).await,
            Verb::Unload => self.unload_model(&model),
        };
        let _gone = done.send(result); // nobody has to wait for it
    }

    async fn load_model(&mut self, name: &str) -> Result<(), ServeError> {
        let found = self.candidates(Some(name)).await;
        let candidates = found.map_err(|error| {
            tracing::error!(%error, model = name, "cannot load");
            error.for_clients()
        })?;
        if candidates.is_empty() {
            return Err(Registry::not_in_repository(name));
        }
        self.unloaded.remove(name);
        self.bring(candidates, Occasion::Request).await.map_err(|error| error.for_clients())
    }

    fn unload_model(&mut self, name: &str) -> Result<(), ServeError> {
        let versions = self.registry.versions(name)?;
        for version in &versions {
            self.out_of_service(name, version);
            self.registry.set(name, version, State::Unloaded);
        }
        if self.unloaded.insert(name.to_owned()) {
            tracing::info!(model = name, versions = versions.join(", "), "model unloaded");
        }
        Ok(())
    }

    async fn sync(&mut self, occasion: Occasion) -> Result<(), RepositoryError> {
        let mut candidates = self.candidates(None).await?;
        let present: BTreeSet<&String> = candidates.keys().map(|(name, _)| name).collect();
        for name in self.registry.names() {
            if !present.contains(&name) {
                self.remove(&name, |_| true);
                self.unloaded.remove(&name);
            }
        }
        candidates.retain(|(name, _), _| !self.unloaded.contains(name));
        self.bring(candidates, occasion).await
    }

    /// Loads the candidates that are new or have changed. Versions that they replace answer until then.
    async fn bring(
        &mut self,
        candidates: BTreeMap<Key, Candidate>,
        occasion: Occasion,
    ) -> Result<(), RepositoryError> {
        let names: BTreeSet<String> = candidates.keys().map(|(name, _)| name.clone()).collect();
        let mut kept = BTreeSet::new();
        let mut due = Vec::new();
        for (key, candidate) in candidates {
            kept.insert(key.clone());
            let done = self.tried.get(&key).is_some_and(|(tried, loaded)| {
                tried.same_as(&candidate) && (*loaded || occasion != Occasion::Request)
            });
            if done {
                continue;
            }
            if !self.is_ready(&key) {
                self.registry.set(&key.0, &key.1, State::Loading);
            }
            due.push((key, candidate));
        }
        self.registry.set_listed();
        let mut first_error = None;
        let loaded_some = !due.is_empty();
        for (key, candidate) in due {
            let loaded = self.load(&candidate).await;
            let attempt = (candidate, loaded.is_ok());
            if let Err(error) = loaded {
                if occasion == Occasion::Start {
                    return Err(error);
                }
                tracing::error!(%error, "cannot load");
                if !self.is_ready(&key) {
                    let reason = error.for_clients().message.into_owned();
                    self.registry.set(&key.0, &key.1, State::Failed(reason));
                }
                let transient = error.is_transient();
                first_error.get_or_insert(error);
                if transient {
                    continue; // not tried: the next look tries it again
                }
            }
            self.tried.insert(key, attempt);
        }
        for name in names {
            let own = |key: &&Key| key.0 == name;
            if kept.iter().filter(own).all(|key| self.is_ready(key)) {
                self.remove(&name, |version| !kept.contains(&(name.clone(), version.to_owned())));
            }
        }
        if loaded_some {
            self.tidy();
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Gives back what loading alone has needed, which is most of the process. Nobody has to wait for it.
    fn tidy(&self) {
        let loader = Arc::clone(&self.loader);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = process::release_code(loader.runtime.library()) {
                tracing::debug!(%error, "code that is not needed any more stays in memory");
            }
        });
    }

    /// What there is to be served, of every model or of one.
    async fn candidates(&self, only: Option<&str>) -> Result<BTreeMap<Key, Candidate>, RepositoryError> {
        let mut all: BTreeMap<Key, Candidate> = BTreeMap::new();
        let mut homes: BTreeMap<String, String> = BTreeMap::new();
        for source in &self.sources {
            let mut own = BTreeSet::new();
            let candidates = match source.candidates(only).await {
                Err(error) if only.is_some() && error.is_absent() => continue,
                candidates => candidates?,
            };
            for candidate in candidates {
                let home = candidate.store.location().to_string();
                if let Some(first) = homes.get(&candidate.name).filter(|_| !own.contains(&candidate.name)) {
                    let (first, second) = (first.clone(), home);
                    return Err(RepositoryError::Twice { name: candidate.name, first, second });
                }
                own.insert(candidate.name.clone());
                homes.insert(candidate.name.clone(), home);
                all.insert((candidate.name.clone(), candidate.version.clone()), candidate);
            }
        }
        Ok(all)
    }

    async fn load(&self, candidate: &Candidate) -> Result<(), RepositoryError> {
        let path = candidate.fetch(&self.cache).await?;
        let (loader, task) = (Arc::clone(&self.loader), candidate.clone());
        let replaced = self.registry.loaded(&candidate.name, Some(&candidate.version)).ok();
        let counts = replaced.map(|model| Arc::clone(&model.metrics));
        let load = move || loader.load(&task.name, &task.version, &path, &task.config, None, counts);
        let loaded = tokio::task::spawn_blocking(load).await.unwrap_or_else(|_| Err(LoadError::Panicked));
        let model = loaded.map_err(|reason| RepositoryError::Load {
            model: candidate.name.clone(),
            version: candidate.version.clone(),
            address: candidate.address(),
            reason: Box::new(reason),
        })?;
        self.registry.set(&candidate.name, &candidate.version, State::Ready(Arc::new(model)));
        Ok(())
    }

    fn is_ready(&self, (name, version): &Key) -> bool {
        self.registry.loaded(name, Some(version)).is_ok()
    }

    /// Takes away the versions of a model that `gone` picks.
    fn remove(&mut self, name: &str, gone: impl Fn(&str) -> bool) {
        for version in self.registry.versions(name).unwrap_or_default() {
            if gone(&version) {
                tracing::info!(model = name, version, "model removed");
                self.out_of_service(name, &version);
                self.registry.remove(name, &version);
            }
        }
    }

    fn out_of_service(&mut self, name: &str, version: &str) {
        if let Ok(model) = self.registry.loaded(name, Some(version)) {
            model.metrics.gone();
        }
        self.tried.remove(&(name.to_owned(), version.to_owned()));
    }
}

/// Waits for it, for ever where there is none.
async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
