//! Keeping what is served in step with what the places hold: at start-up, and then as often as asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use storage::Cache;
use tokio::time::Instant;

use super::{
    error::RepositoryError,
    load::{LoadError, Loader},
    registry::{Registry, State},
    source::{Candidate, Source},
};
use crate::config::Models;

/// Pauses between attempts to reach a store at start-up.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Model and version.
type Key = (String, String);

/// The places that hold models, and what was loaded from them.
#[derive(Debug)]
pub struct Repository {
    sources: Vec<Source>,
    cache: Cache,
    loader: Arc<Loader>,
    registry: Arc<Registry>,
    /// What was tried last for each version, whether it loaded or not.
    tried: BTreeMap<Key, Candidate>,
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
            let Err(error) = self.sync(true).await else { return Ok(()) };
            let may_come = error.is_transient() || (self.await_folder && error.is_absent());
            if !may_come || Instant::now() + pause >= give_up {
                return Err(error);
            }
            tracing::warn!(%error, "waiting for the models, next attempt in {pause:?}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Follows changes for as long as the server lives. What cannot be loaded is logged; what was served
    /// before goes on being served.
    pub async fn poll(&mut self) {
        let Some(interval) = self.poll_interval else { return std::future::pending().await };
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.sync(false).await {
                tracing::warn!(%error, "cannot look for changes of the models");
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

    async fn sync(&mut self, strict: bool) -> Result<(), RepositoryError> {
        let candidates = self.candidates().await?;
        self.remove_all_but(&candidates);
        for (name, version) in candidates.keys() {
            if self.registry.get(name, Some(version)).is_err() {
                self.registry.set(name, version, State::Loading);
            }
        }
        self.registry.set_listed();
        for (key, candidate) in candidates {
            if self.tried.get(&key).is_some_and(|tried| tried.same_as(&candidate)) {
                continue;
            }
            if let Err(error) = self.load(&candidate).await {
                if strict || error.is_transient() {
                    return Err(error);
                }
                tracing::error!(%error, "cannot load");
                if self.registry.get(&key.0, Some(&key.1)).is_err() {
                    self.registry.set(&key.0, &key.1, State::Failed(error.to_string()));
                }
            }
            self.tried.insert(key, candidate);
        }
        Ok(())
    }

    async fn candidates(&self) -> Result<BTreeMap<Key, Candidate>, RepositoryError> {
        let mut all: BTreeMap<Key, Candidate> = BTreeMap::new();
        let mut homes: BTreeMap<String, String> = BTreeMap::new();
        for source in &self.sources {
            let mut own = BTreeSet::new();
            for candidate in source.candidates().await? {
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
        let load = move || loader.load(&task.name, &task.version, &path, &task.config);
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

    fn remove_all_but(&mut self, candidates: &BTreeMap<Key, Candidate>) {
        let gone: Vec<Key> = self.tried.keys().filter(|key| !candidates.contains_key(key)).cloned().collect();
        for (name, version) in gone {
            tracing::info!(model = name, version, "model removed");
            if let Ok(model) = self.registry.get(&name, Some(&version)) {
                model.metrics.gone();
            }
            self.registry.remove(&name, &version);
            self.tried.remove(&(name, version));
        }
    }
}
