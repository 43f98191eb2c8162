//! One place that holds models: what is there, and bringing it here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use oip::{InferRequest, Nulls};
use storage::{Cache, Held, Location, Object, Settings, StorageError, Store};

use super::{
    error::RepositoryError,
    layout::{
        CONFIG_FILE, EXAMPLE_FILE, FileNames, FoundModel, Layout, TRITON_CONFIG_FILE, discover, key_in,
    },
    naming::Naming,
    skipped::{Reason, Skipped},
    triton_config, version,
};
use crate::{config::Place, model::ModelConfig};

/// A `config.toml` has a few lines; a larger one is a mistake.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Largest `example.json` that is tried.
const MAX_EXAMPLE_BYTES: u64 = 1 << 20;

/// Largest `config.pbtxt` that is read for advice.
const MAX_TRITON_CONFIG_BYTES: u64 = 64 << 10;

/// What every volume of ext4 has, for the system's repairs.
const LOST_AND_FOUND: &str = "lost+found";

/// A version that is to be served.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Name of the model.
    pub(super) name: String,
    /// Version of the model.
    pub(super) version: String,
    /// Key of its ONNX file.
    pub(super) model_key: String,
    /// Its files.
    pub(super) objects: Vec<Object>,
    /// Key of a request that the model answers, where there is one.
    example_key: Option<String>,
    /// The model's configuration.
    pub(super) config: ModelConfig,
    /// Where its files are.
    pub(super) store: Store,
}

impl Candidate {
    /// Whether it would load the same bytes in the same way.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.objects == other.objects && self.config == other.config
    }

    /// Its address, for people.
    pub(super) fn address(&self) -> String {
        self.store.location().join(&self.model_key).to_string()
    }

    /// A request that the model answers, where one lies beside it that can be read.
    pub(super) async fn example(&self) -> Option<InferRequest> {
        let bytes = self.store.read(self.example_key.as_ref()?, MAX_EXAMPLE_BYTES).await.ok()?;
        oip::json::decode_request(&bytes, Nulls::default()).ok()
    }

    /// Brings its files here; returns the path of the ONNX file, and what keeps the files in the cache.
    pub(super) async fn fetch(&self, cache: &Cache) -> Result<(PathBuf, Held), StorageError> {
        let held = cache.fetch(&self.store, &self.objects).await?;
        Ok((held.path().join(&self.model_key), held))
    }
}

/// A model that is there and cannot even be tried, such as one with a mistake in its `config.toml`.
#[derive(Debug)]
pub(super) struct Broken {
    /// Its name.
    pub(super) name: String,
    /// The version that is to stand for it.
    pub(super) version: String,
    /// What is wrong.
    pub(super) error: RepositoryError,
}

impl Broken {
    /// Its model and version.
    pub(super) fn key(&self) -> (String, String) {
        (self.name.clone(), self.version.clone())
    }
}

/// What one look at a place has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) broken: Vec<Broken>,
    /// What looks like a model and is none.
    pub(super) skipped: Vec<Skipped>,
    /// What people should know, a line each.
    pub(super) warnings: Vec<String>,
    /// Whether there is a model, also one that was not asked for.
    pub(super) has_models: bool,
}

/// What is wrong with a model's configuration, before it is known what the model is called.
#[derive(Debug)]
enum ConfigFault {
    Unread(StorageError),
    Wrong(String),
}

impl ConfigFault {
    fn of(self, model: &str) -> RepositoryError {
        match self {
            Self::Unread(error) => error.into(),
            Self::Wrong(reason) => RepositoryError::Config { model: model.to_owned(), reason },
        }
    }
}

type ReadConfig = Result<ModelConfig, ConfigFault>;

/// One place that holds models.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    store: Store,
    naming: Naming,
    /// What was said of each `config.pbtxt`, by its object: it is read once.
    triton_configs: BTreeMap<String, (Object, Option<String>)>,
}

impl Source {
    pub(super) fn open(place: Place, settings: &Settings) -> Result<Self, StorageError> {
        let store = Store::open(place.location(), settings)?;
        let naming = Naming::new(&place);
        Ok(Self { place, store, naming, triton_configs: BTreeMap::new() })
    }

    /// Whether its files have to be brought here.
    pub(super) fn is_remote(&self) -> bool {
        self.store.local_path().is_none()
    }

    pub(super) fn location(&self) -> &Location {
        self.store.location()
    }

    /// What the model in this folder is called; empty is the place itself.
    pub(super) fn name_of(&self, folder: &str) -> String {
        self.naming.name_of(Some(folder).filter(|folder| !folder.is_empty()))
    }

    /// Where the model of a version lies.
    pub(super) fn home(&self, candidate: &Candidate) -> String {
        match self.naming.folder_of(&candidate.name) {
            Some(folder) if candidate.model_key.starts_with(&key_in(folder, "")) => {
                self.location().join(folder).to_string()
            }
            _ => self.location().to_string(),
        }
    }

    /// Finds the versions that are to be served, of every model or of one.
    ///
    /// # Errors
    /// The place cannot be read, or holds several models where it should hold one.
    pub(super) async fn look(&mut self, only: Option<&str>) -> Result<Found, RepositoryError> {
        let listing = self.store.look().await?;
        let keys: Vec<&str> = listing.objects.iter().map(|object| object.key.as_str()).collect();
        let mut configs = self.configs(&keys, only).await;
        let named = |config: &ReadConfig| config.as_ref().ok()?.default_model_filename.clone();
        let names: FileNames =
            configs.iter().filter_map(|(folder, config)| Some((folder.clone(), named(config)?))).collect();
        let Layout { models, mut skipped } = discover(&keys, &names);
        self.check_is_one(&models)?;
        let mut warnings: Vec<String> = self.naming.settle(&models, &keys, only).into_iter().collect();
        let has_models = !models.is_empty();
        let mut found = Found { has_models, ..Found::default() };
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let served: BTreeSet<String> = models.iter().map(|model| model.folder().to_owned()).collect();
        for model in models {
            let name = self.naming.name_of(model.name.as_deref());
            if !wanted(&name) {
                continue;
            }
            warnings.extend(self.triton_config(model.folder(), &name, &listing.objects).await);
            let config = configs.remove(model.folder()).unwrap_or_else(|| Ok(ModelConfig::default()));
            let config = config.map_err(|fault| fault.of(&name));
            match config.and_then(|config| self.versions(&name, &model, &config, &listing.objects)) {
                Ok(candidates) => found.candidates.extend(candidates),
                Err(error) => found.broken.push(Broken { name, version: newest(&model), error }),
            }
        }
        // What a configuration is wrong about is no folder to pass over, but a model that is broken.
        skipped.retain(|passed| {
            let name = self.name_of(passed.model());
            let error = match configs.remove(passed.model()) {
                Some(Err(fault)) if passed.reason.is_of_names() => fault.of(&name),
                Some(Ok(_)) if matches!(passed.reason, Reason::NamedFileMissing(_)) => {
                    RepositoryError::Config { model: name.clone(), reason: passed.to_string() }
                }
                Some(_) | None => return true,
            };
            if wanted(&name) && !served.contains(passed.model()) {
                found.broken.push(Broken { name, version: version_of(passed), error });
            }
            served.contains(passed.model())
        });
        for passed in skipped.iter().filter(|passed| passed.reason.is_of_names()) {
            let name = self.name_of(passed.model());
            warnings.extend(self.triton_config(passed.model(), &name, &listing.objects).await);
        }
        for folder in listing.unreadable {
            let reason = Reason::Unreadable(folder.error.to_string());
            if folder.key == LOST_AND_FOUND {
                tracing::debug!(place = %self.location(), "folder '{LOST_AND_FOUND}' {reason}");
            } else {
                skipped.push(Skipped { folder: folder.key, reason });
            }
        }
        Ok(Found { skipped, warnings, ..found })
    }

    /// The reason why a folder that a client asks for by its name is not served.
    pub(super) fn reason_against(&self, name: &str, found: &Found) -> Option<String> {
        let is_it = |passed: &&Skipped| {
            passed.model() == name || (!found.has_models && self.naming.given() == Some(name))
        };
        found.skipped.iter().find(is_it).map(ToString::to_string)
    }

    fn check_is_one(&self, models: &[FoundModel]) -> Result<(), RepositoryError> {
        let (Place::Model { location, name }, true) = (&self.place, models.len() > 1) else { return Ok(()) };
        let found: Vec<&str> = models.iter().map(FoundModel::folder).collect();
        Err(RepositoryError::SeveralModels {
            location: location.to_string(),
            name: name.clone(),
            found: found.join(", "),
        })
    }

    /// The configurations that lie beside models, by the model's folder.
    async fn configs(&self, keys: &[&str], only: Option<&str>) -> BTreeMap<String, ReadConfig> {
        let mut configs = BTreeMap::new();
        for key in keys {
            let folder = match key.split('/').collect::<Vec<_>>()[..] {
                [CONFIG_FILE] => "",
                [folder, CONFIG_FILE] if !folder.starts_with('.') => folder,
                _ => continue,
            };
            if only.is_none_or(|only| self.naming.may_be(folder, only)) {
                configs.insert(folder.to_owned(), self.config(key).await);
            }
        }
        configs
    }

    async fn config(&self, key: &str) -> ReadConfig {
        let bytes = self.store.read(key, MAX_CONFIG_BYTES).await.map_err(ConfigFault::Unread)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| ConfigFault::Wrong(error.to_string()))?;
        ModelConfig::parse(text).map_err(|error| ConfigFault::Wrong(error.to_string()))
    }

    fn versions(
        &self,
        name: &str,
        model: &FoundModel,
        config: &ModelConfig,
        objects: &[Object],
    ) -> Result<Vec<Candidate>, RepositoryError> {
        let refused = |reason: String| RepositoryError::Config { model: name.to_owned(), reason };
        let available: Vec<String> = model.versions.keys().cloned().collect();
        let wanted = version::select(&config.version_policy, available).map_err(refused)?;
        if config.sha256.is_some() && !matches!(&wanted[..], [_]) {
            return Err(refused("sha256 names one file: serve one version, by version_policy".to_owned()));
        }
        let candidate = |version: String| {
            let found = &model.versions[&version];
            let example = key_in(model.folder(), EXAMPLE_FILE);
            let example_key = objects.iter().any(|object| object.key == example).then_some(example);
            let objects =
                objects.iter().filter(|object| found.files.contains(&object.key)).cloned().collect();
            Candidate {
                name: name.to_owned(),
                version,
                model_key: found.model.clone(),
                objects,
                example_key,
                config: config.clone(),
                store: self.store.clone(),
            }
        };
        Ok(wanted.into_iter().map(candidate).collect())
    }

    /// What to say of Triton's configuration of a model, where there is one. It decides nothing.
    async fn triton_config(&mut self, folder: &str, model: &str, objects: &[Object]) -> Option<String> {
        let key = key_in(folder, TRITON_CONFIG_FILE);
        let object = objects.iter().find(|object| object.key == key)?;
        if let Some((_, said)) = self.triton_configs.get(&key).filter(|(known, _)| known == object) {
            return said.clone();
        }
        let said = match self.store.read(&key, MAX_TRITON_CONFIG_BYTES).await {
            Ok(text) => triton_config::advice(&String::from_utf8_lossy(&text)),
            Err(error) if error.is_transient() => return None,
            Err(_) => Some(triton_config::UNREAD.to_owned()),
        };
        let said = said.map(|advice| {
            format!("model '{model}': {TRITON_CONFIG_FILE} is Triton's and has no effect here: {advice}")
        });
        self.triton_configs.insert(key, (object.clone(), said.clone()));
        said
    }

    /// A request for people to try, where one lies beside the model on this machine.
    pub(super) fn example(&self, model: &str) -> Option<PathBuf> {
        let folder = self.store.local_path()?;
        let own = self.naming.folder_of(model).map(|own| folder.join(own).join(EXAMPLE_FILE));
        own.into_iter().chain([folder.join(EXAMPLE_FILE)]).find(|path| path.is_file())
    }
}

/// The version of a model that would answer.
fn newest(model: &FoundModel) -> String {
    let newest = model.versions.keys().max_by(|left, right| version::compare(left, right));
    newest.cloned().unwrap_or_default()
}

fn version_of(passed: &Skipped) -> String {
    passed.folder.split('/').nth(1).unwrap_or("1").to_owned()
}
