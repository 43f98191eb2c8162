//! Keeping what is served in step with what the places hold: at start-up, as often as configured, and
//! whenever a client asks for it.

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

/// Pauses between attempts to reach a store at start-up.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why models are being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// The server starts: where errors end it, everything must load.
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
    kept: CacheHolds,
    loader: Arc<Loader>,
    registry: Arc<Registry>,
    /// What was tried last for each version, and whether it loaded.
    tried: BTreeMap<Key, (Candidate, bool)>,
    /// Models that stay out of service until a client asks for them.
    unloaded: BTreeSet<String>,
    said: LoggedOnce,
    /// Whether every place could be looked through, the last time.
    knows_all: bool,
    settings: Models,
}

impl Repository {
    /// Opens the places; nothing is read yet.
    ///
    /// # Errors
    /// Settings that cannot be used, such as a CA bundle that cannot be read.
    pub fn open(models: &Models, loader: Loader, registry: Arc<Registry>) -> Result<Self, RepositoryError> {
        let open = |place: &crate::config::Place| Source::open(place.clone(), &models.store);
        let sources: Vec<Source> = models.places.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            kept: CacheHolds::new(Cache::new(&models.cache_dir), sources.iter().any(Source::is_remote)),
            sources,
            loader: Arc::new(loader),
            registry,
            tried: BTreeMap::new(),
            unloaded: BTreeSet::new(),
            said: LoggedOnce::default(),
            knows_all: false,
            settings: models.clone(),
        })
    }

    /// Loads every model. While a store does not answer, waits for it as long as start-up may take.
    ///
    /// # Errors
    /// Where errors end the server, the first thing that waiting cannot mend: see [`RepositoryError`].
    pub async fn load_all(&mut self) -> Result<(), RepositoryError> {
        let give_up = Instant::now() + self.settings.startup_timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let Faults { places, models } = self.sync(Occasion::Start).await;
            let owes_places = !places.is_empty();
            // What else is wrong with models has been said.
            let unsaid = models.iter().filter(|error| error.is_transient()).chain(&places);
            let may_come = |error: &&RepositoryError| {
                error.is_transient() || (self.settings.await_folder && error.is_absent())
            };
            let lost = places.iter().chain(&models).find(|error| !may_come(error));
            let awaited = places.iter().chain(&models).find(may_come);
            if let Some(error) = awaited
                && !(self.settings.exit_on_error && lost.is_some())
                && Instant::now() + pause < give_up
            {
                tracing::warn!(%error, "waiting for the models, next attempt in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            if self.settings.exit_on_error {
                let mut errors: Vec<_> = places.into_iter().chain(models).collect();
                errors.sort_by_key(|error| may_come(&error));
                if let Some(error) = errors.into_iter().next() {
                    return Err(error);
                }
            } else {
                unsaid.for_each(|error| tracing::error!(%error, "cannot load"));
            }
            self.registry.set_started(self.settings.strict_readiness, owes_places);
            self.kept.sweep();
            return Ok(());
        }
    }

    /// Follows changes and commands for as long as the server lives, one at a time. What cannot be loaded is
    /// logged; what was served before goes on being served.
    pub async fn follow(&mut self, Commands(mut commands): Commands) {
        let mut next_look = self.next_look();
        loop {
            tokio::select! {
                () = moment(next_look) => {
                    let faults = self.sync(Occasion::Change).await;
                    self.said.places(&faults.places);
                    if faults.places.is_empty() {
                        self.registry.set_places_read();
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
        self.settings.poll_interval.map(|interval| Instant::now() + interval)
    }

    async fn obey(&mut self, Command { verb, model, done }: Command) {
        let result = match verb {
            Verb::Load => self.load_model(&model).await,
            Verb::Unload => self.unload_model(&model),
        };
        let _gone = done.send(result); // nobody has to wait for it
    }

    async fn load_model(&mut self, name: &str) -> Result<(), ServeError> {
        let mut sight = Scan::of(&mut self.sources, Some(name)).await;
        if let Some(error) = sight.unread.first() {
            tracing::error!(%error, model = name, "cannot load");
            return Err(error.for_clients());
        }
        if let Some(broken) = sight.broken.remove(name) {
            self.unloaded.remove(name);
            tracing::error!(error = %broken.error, "cannot load");
            self.set_broken(&broken);
            return Err(broken.error.for_clients());
        }
        if sight.candidates.is_empty() {
            return Err(match sight.reason {
                Some(reason) => {
                    let message = format!("model '{name}' is none that can be served: {reason}");
                    ServeError::new(ErrorCode::NotFound, message)
                }
                None => Registry::not_in_repository(name),
            });
        }
        self.unloaded.remove(name);
        let errors = self.bring(sight.candidates, Occasion::Request).await;
        self.kept.sweep();
        errors.first().map_or(Ok(()), |error| Err(error.for_clients()))
    }

    fn unload_model(&mut self, name: &str) -> Result<(), ServeError> {
        let versions = self.registry.versions(name)?;
        for version in &versions {
            self.out_of_service(name, version); // its files stay in the cache: it may come back
            self.registry.set(name, version, State::Unloaded);
        }
        if self.unloaded.insert(name.to_owned()) {
            tracing::info!(model = name, versions = versions.join(", "), "model unloaded");
        }
        Ok(())
    }

    /// Brings what is served in step with what the places hold. Where errors end the server, nothing is loaded after
    /// the first of them.
    async fn sync(&mut self, occasion: Occasion) -> Faults {
        let sight = Scan::of(&mut self.sources, None).await;
        self.knows_all = sight.unread.is_empty();
        if self.knows_all {
            self.forget_those_who_left(&sight);
        }
        let Scan { mut candidates, broken, unread, warnings, .. } = sight;
        self.said.warnings(warnings);
        let mut faults = Faults { places: unread, models: Vec::new() };
        let is_start = occasion == Occasion::Start;
        for broken in broken.into_values() {
            if self.unloaded.contains(&broken.name) {
                continue;
            }
            if !(is_start && (self.settings.exit_on_error || broken.error.is_transient())) {
                self.said.error(&broken.key(), &broken.error);
            }
            self.set_broken(&broken);
            faults.models.push(broken.error);
        }
        if is_start && self.settings.exit_on_error && !faults.are_none() {
            return faults;
        }
        candidates.retain(|(name, _), _| !self.unloaded.contains(name));
        faults.models.extend(self.bring(candidates, occasion).await);
        if !is_start {
            self.kept.sweep();
        }
        faults
    }

    /// Takes models out of service that no place has any more.
    fn forget_those_who_left(&mut self, sight: &Scan) {
        for name in self.registry.names() {
            if !sight.has(&name) {
                self.remove(&name, |_| true);
                self.unloaded.remove(&name);
            }
        }
    }

    /// A model is there and cannot even be tried. What answers for it goes on.
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

    /// Loads the candidates that are new or have changed. Versions that they replace answer until then.
    async fn bring(
        &mut self,
        candidates: BTreeMap<Key, Candidate>,
        occasion: Occasion,
    ) -> Vec<RepositoryError> {
        let names: BTreeSet<String> = candidates.keys().map(|(name, _)| name.clone()).collect();
        let mut kept = BTreeSet::new();
        let mut due = Vec::new();
        for (key, candidate) in candidates {
            kept.insert(key.clone());
            let done = self.tried.get(&key).is_some_and(|(tried, loaded)| {
                tried.same_as(&candidate) && (*loaded || occasion != Occasion::Request)
            });
            if done {
                if self.is_ready(&key) {
                    self.said.mended(&key);
                }
                continue;
            }
            if !self.is_ready(&key) {
                self.registry.set(&key.0, &key.1, State::Loading);
            }
            due.push((key, candidate));
        }
        if self.knows_all {
            self.registry.set_listed();
        }
        let mut errors = Vec::new();
        let loaded_some = !due.is_empty();
        for (key, candidate) in due {
            match self.load(&candidate).await {
                Ok(held) => {
                    self.kept.keep(key.clone(), held);
                    self.said.mended(&key);
                    self.tried.insert(key, (candidate, true));
                }
                Err(error) => {
                    if occasion == Occasion::Start && self.settings.exit_on_error {
                        return vec![error];
                    }
                    if !self.is_ready(&key) {
                        self.set_failed(&key, &error);
                    }
                    match occasion {
                        Occasion::Start if error.is_transient() => {} // said when the start gives up
                        Occasion::Start | Occasion::Change => self.said.error(&key, &error),
                        Occasion::Request => tracing::error!(%error, "cannot load"),
                    }
                    if !error.is_transient() {
                        self.tried.insert(key, (candidate, false)); // else the next look tries it again
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
            self.tidy();
        }
        errors
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

    async fn load(&mut self, candidate: &Candidate) -> Result<Held, RepositoryError> {
        let (path, held) = self.kept.fetch(candidate).await?;
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

    /// Takes away the versions of a model that `gone` picks.
    fn remove(&mut self, name: &str, gone: impl Fn(&str) -> bool) {
        for version in self.registry.versions(name).unwrap_or_default() {
            if gone(&version) {
                tracing::info!(model = name, version, "model removed");
                self.out_of_service(name, &version);
                self.registry.remove(name, &version);
                let key = (name.to_owned(), version);
                self.said.mended(&key);
                self.kept.release(&key);
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
