//! Synchronises the served models with the places: at start-up, at each poll interval, and when a client loads or
//! unloads a model.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use storage::{Cache, Held};
use tokio::time::{Instant, sleep_until};

use super::{
    cache_holds::CacheHolds,
    control::{Command, Commands, Verb},
    error::{Faults, RepositoryError},
    log_once::LoggedOnce,
    registry::{Registry, State},
    scan::{Key, Scan},
    source::{Broken, Candidate, Source},
};
use crate::{
    config::Models,
    error::{ErrorCode, ServeError},
    loading::{LoadError, Loader, Version},
    platform::process,
};

/// First pause between attempts to reach a store at start-up. Each further pause is twice as long, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between attempts to reach a store at start-up.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why models are loaded. It decides what happens after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// The server starts. With `--exit-on-error`, the first error ends it.
    Start,
    /// A poll found a change. A version that fails is tried again when its files change.
    Change,
    /// A client asked for it. Versions that failed before are tried again.
    Request,
}

/// The places with models, and the versions that were loaded from them.
#[derive(Debug)]
pub struct Repository {
    sources: Vec<Source>,
    cache: CacheHolds,
    loader: Arc<Loader>,
    registry: Arc<Registry>,
    /// The last candidate of each version that was tried, and whether it loaded.
    tried: BTreeMap<Key, (Candidate, bool)>,
    /// Models that clients have unloaded. They stay so until a client loads them.
    unloaded: BTreeSet<String>,
    log: LoggedOnce,
    /// Whether the last scan could read every place.
    all_places_read: bool,
    settings: Models,
}

impl Repository {
    /// Opens the places, without reading them.
    ///
    /// # Errors
    /// A setting is wrong, such as a CA bundle that cannot be read.
    pub fn open(models: &Models, loader: Loader, registry: Arc<Registry>) -> Result<Self, RepositoryError> {
        let open = |place: &crate::config::Place| Source::open(place.clone(), &models.store);
        let sources: Vec<Source> = models.places.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            cache: CacheHolds::new(Cache::new(&models.cache_dir), sources.iter().any(Source::is_remote)),
            sources,
            loader: Arc::new(loader),
            registry,
            tried: BTreeMap::new(),
            unloaded: BTreeSet::new(),
            log: LoggedOnce::default(),
            all_places_read: false,
            settings: models.clone(),
        })
    }

    /// Loads every model. If a store does not respond, tries again until `--startup-timeout`.
    ///
    /// # Errors
    /// With `--exit-on-error`, the first error that waiting cannot mend; see [`RepositoryError`].
    pub async fn load_all(&mut self) -> Result<(), RepositoryError> {
        let give_up = Instant::now() + self.settings.startup_timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let Faults { places, models } = self.sync(Trigger::Start).await;
            let has_unread_places = !places.is_empty();
            // Other errors of models have been logged.
            let unlogged = models.iter().filter(|error| error.is_transient()).chain(&places);
            let may_arrive = |error: &&RepositoryError| {
                error.is_transient() || (self.settings.await_folder && error.is_absent())
            };
            let permanent = places.iter().chain(&models).find(|error| !may_arrive(error));
            let waiting_for = places.iter().chain(&models).find(may_arrive);
            if let Some(error) = waiting_for
                && !(self.settings.exit_on_error && permanent.is_some())
                && Instant::now() + pause < give_up
            {
                tracing::warn!(%error, "waiting for the models, next attempt in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            if self.settings.exit_on_error {
                let mut errors: Vec<_> = places.into_iter().chain(models).collect();
                errors.sort_by_key(|error| may_arrive(&error));
                if let Some(error) = errors.into_iter().next() {
                    return Err(error);
                }
            } else {
                unlogged.for_each(|error| tracing::error!(%error, "cannot load"));
            }
            self.registry.set_started(self.settings.strict_readiness, has_unread_places);
            self.cache.sweep();
            return Ok(());
        }
    }

    /// Polls for changes and executes commands, one at a time, until the server stops. Versions that fail to load are
    /// logged; those that were loaded before go on serving.
    pub async fn follow(&mut self, Commands(mut commands): Commands) {
        let mut next_poll = self.next_poll();
        loop {
            tokio::select! {
                () = wait_until(next_poll) => {
                    let faults = self.sync(Trigger::Change).await;
                    self.log.places(&faults.places);
                    if faults.places.is_empty() {
                        self.registry.set_places_read();
                    }
                    next_poll = self.next_poll();
                }
                Some(command) = commands.recv() => self.execute(command).await,
            }
        }
    }

    /// Returns the models that have an example request, with its file.
    pub fn examples(&self) -> Vec<(String, PathBuf)> {
        let example = |name: String| {
            let path = self.sources.iter().find_map(|source| source.example(&name))?;
            Some((name, path))
        };
        self.registry.names().into_iter().filter_map(example).collect()
    }

    fn next_poll(&self) -> Option<Instant> {
        self.settings.poll_interval.map(|interval| Instant::now() + interval)
    }

    async fn execute(&mut self, Command { verb, model, done }: Command) {
        let result = match verb {
            Verb::Load => self.load_model(&model).await,
            Verb::Unload => self.unload_model(&model),
        };
        let _disconnected = done.send(result);
    }

    async fn load_model(&mut self, name: &str) -> Result<(), ServeError> {
        let mut scan = Scan::of(&mut self.sources, Some(name)).await;
        if let Some(error) = scan.unread_places.first() {
            tracing::error!(%error, model = name, "cannot load");
            return Err(error.for_clients());
        }
        if let Some(broken) = scan.broken.remove(name) {
            self.unloaded.remove(name);
            tracing::error!(error = %broken.error, "cannot load");
            self.set_broken(&broken);
            return Err(broken.error.for_clients());
        }
        if scan.candidates.is_empty() {
            return Err(match scan.reason {
                Some(reason) => {
                    let message = format!("model '{name}' cannot be served: {reason}");
                    ServeError::new(ErrorCode::NotFound, message)
                }
                None => Registry::not_in_repository(name),
            });
        }
        self.unloaded.remove(name);
        let errors = self.load_changed(scan.candidates, Trigger::Request).await;
        self.cache.sweep();
        errors.first().map_or(Ok(()), |error| Err(error.for_clients()))
    }

    fn unload_model(&mut self, name: &str) -> Result<(), ServeError> {
        let versions = self.registry.versions(name)?;
        for version in &versions {
            self.take_out_of_service(name, version); // its files stay in the cache for a later load
            self.registry.set(name, version, State::Unloaded);
        }
        if self.unloaded.insert(name.to_owned()) {
            tracing::info!(model = name, versions = versions.join(", "), "model unloaded");
        }
        Ok(())
    }

    /// Synchronises the served models with the places. At the start with `--exit-on-error`, nothing is loaded after the
    /// first error.
    async fn sync(&mut self, trigger: Trigger) -> Faults {
        let scan = Scan::of(&mut self.sources, None).await;
        self.all_places_read = scan.unread_places.is_empty();
        if self.all_places_read {
            self.remove_missing_models(&scan);
        }
        let Scan { mut candidates, broken, unread_places, remarks, .. } = scan;
        self.log.remarks(remarks);
        let mut faults = Faults { places: unread_places, models: Vec::new() };
        let is_start = trigger == Trigger::Start;
        for broken in broken.into_values() {
            if self.unloaded.contains(&broken.name) {
                continue;
            }
            if !(is_start && (self.settings.exit_on_error || broken.error.is_transient())) {
                self.log.error(&broken.key(), &broken.error);
            }
            self.set_broken(&broken);
            faults.models.push(broken.error);
        }
        if is_start && self.settings.exit_on_error && !faults.is_empty() {
            return faults;
        }
        candidates.retain(|(name, _), _| !self.unloaded.contains(name));
        faults.models.extend(self.load_changed(candidates, trigger).await);
        if !is_start {
            self.cache.sweep();
        }
        faults
    }

    /// Removes models that no place has any more.
    fn remove_missing_models(&mut self, scan: &Scan) {
        for name in self.registry.names() {
            if !scan.has(&name) {
                self.remove(&name, |_| true);
                self.unloaded.remove(&name);
            }
        }
    }

    /// Marks a broken model as failed, unless one of its versions is ready. That version goes on serving.
    fn set_broken(&mut self, broken: &Broken) {
        let Broken { name, version, error } = broken;
        if self.registry.ready_versions(name).is_empty() {
            self.set_failed(&broken.key(), error);
            self.remove(name, |known| known != version);
        }
    }

    fn set_failed(&self, (name, version): &Key, error: &RepositoryError) {
        let reason = error.for_clients().message.into_owned();
        self.registry.set(name, version, State::Failed(reason));
        self.loader.metrics.not_ready(name, version);
    }

    /// Loads the candidates that are new or have changed. Versions that they replace go on serving until then.
    async fn load_changed(
        &mut self,
        candidates: BTreeMap<Key, Candidate>,
        trigger: Trigger,
    ) -> Vec<RepositoryError> {
        let names: BTreeSet<String> = candidates.keys().map(|(name, _)| name.clone()).collect();
        let mut kept = BTreeSet::new();
        let mut due = Vec::new();
        for (key, candidate) in candidates {
            kept.insert(key.clone());
            let done = self.tried.get(&key).is_some_and(|(tried, loaded)| {
                tried.same_as(&candidate) && (*loaded || trigger != Trigger::Request)
            });
            if done {
                if self.is_ready(&key) {
                    self.log.clear_error(&key);
                }
                continue;
            }
            if !self.is_ready(&key) {
                self.registry.set(&key.0, &key.1, State::Loading);
            }
            due.push((key, candidate));
        }
        if self.all_places_read {
            self.registry.set_listed();
        }
        let mut errors = Vec::new();
        let loaded_some = !due.is_empty();
        for (key, candidate) in due {
            match self.load(&candidate).await {
                Ok(held) => {
                    self.cache.keep(key.clone(), held);
                    self.log.clear_error(&key);
                    self.tried.insert(key, (candidate, true));
                }
                Err(error) => {
                    if trigger == Trigger::Start && self.settings.exit_on_error {
                        return vec![error];
                    }
                    if !self.is_ready(&key) {
                        self.set_failed(&key, &error);
                    }
                    match trigger {
                        Trigger::Start if error.is_transient() => {} // logged when the start gives up
                        Trigger::Start | Trigger::Change => self.log.error(&key, &error),
                        Trigger::Request => tracing::error!(%error, "cannot load"),
                    }
                    if !error.is_transient() {
                        // After a transient error, the next poll tries again.
                        self.tried.insert(key, (candidate, false));
                    }
                    errors.push(error);
                }
            }
        }
        for name in names {
            let own = |key: &&Key| key.0 == name;
            if kept.iter().filter(own).all(|key| self.is_ready(key)) {
                self.remove(&name, |version| !kept.contains(&(name.clone(), version.to_owned())));
            }
        }
        if loaded_some {
            self.release_memory();
        }
        errors
    }

    /// Releases memory that only loading needed, in the background.
    fn release_memory(&self) {
        let loader = Arc::clone(&self.loader);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = process::release_code(loader.runtime.library()) {
                tracing::debug!(%error, "cannot release the memory of code that is not needed any more");
            }
        });
    }

    async fn load(&mut self, candidate: &Candidate) -> Result<Held, RepositoryError> {
        let (path, held) = self.cache.fetch(candidate).await?;
        let (loader, task, example) =
            (Arc::clone(&self.loader), candidate.clone(), candidate.example().await);
        let replaced = self.registry.loaded(&candidate.name, Some(&candidate.version)).ok();
        let counts = replaced.map(|model| Arc::clone(&model.metrics));
        let load = move || {
            let Candidate { name, version, config, .. } = &task;
            loader.load(Version { name, version, path: &path, config, example }, counts)
        };
        let loaded = tokio::task::spawn_blocking(load).await.unwrap_or_else(|_| Err(LoadError::Panicked));
        let model = loaded.map_err(|reason| RepositoryError::Load {
            model: candidate.name.clone(),
            version: candidate.version.clone(),
            address: candidate.address(),
            reason: Box::new(reason),
        })?;
        self.registry.set(&candidate.name, &candidate.version, State::Ready(Arc::new(model)));
        Ok(held)
    }

    fn is_ready(&self, (name, version): &Key) -> bool {
        self.registry.loaded(name, Some(version)).is_ok()
    }

    /// Removes the versions of a model that `gone` selects.
    fn remove(&mut self, name: &str, gone: impl Fn(&str) -> bool) {
        for version in self.registry.versions(name).unwrap_or_default() {
            if gone(&version) {
                tracing::info!(model = name, version, "model removed");
                self.take_out_of_service(name, &version);
                self.registry.remove(name, &version);
                let key = (name.to_owned(), version);
                self.log.clear_error(&key);
                self.cache.release(&key);
            }
        }
    }

    fn take_out_of_service(&mut self, name: &str, version: &str) {
        if let Ok(model) = self.registry.loaded(name, Some(version)) {
            model.metrics.gone();
        }
        self.tried.remove(&(name.to_owned(), version.to_owned()));
    }
}

/// Waits until `at`, or for ever if it is `None`.
async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
