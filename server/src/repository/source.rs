//! One place with models, a folder or a bucket: finding its models, and downloading their files.

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
        set_version,
    },
    naming::Naming,
    skipped::{Reason, Skipped},
    triton_config, version,
};
use crate::{config::Place, model::ModelConfig};

/// Largest `config.toml` in bytes. The file has a few lines; a larger one is a mistake.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Largest `example.json` that is used, in bytes.
const MAX_EXAMPLE_BYTES: u64 = 1 << 20;

/// Largest `config.pbtxt` that is read for advice, in bytes.
const MAX_TRITON_CONFIG_BYTES: u64 = 64 << 10;

/// The folder for repairs that every ext4 volume has. Only root can read it.
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
    /// Key of the example request, if there is one.
    example_key: Option<String>,
    /// The model's configuration.
    pub(super) config: ModelConfig,
    /// The store with its files.
    pub(super) store: Store,
}

impl Candidate {
    /// Returns whether both would load the same files with the same configuration.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.objects == other.objects && self.config == other.config
    }

    /// Returns the address of its ONNX file, for logs.
    pub(super) fn address(&self) -> String {
        self.store.location().join(&self.model_key).to_string()
    }

    /// Reads the example request, if there is a valid one.
    pub(super) async fn example(&self) -> Option<InferRequest> {
        let bytes = self.store.read(self.example_key.as_ref()?, MAX_EXAMPLE_BYTES).await.ok()?;
        oip::json::decode_request(&bytes, Nulls::default()).ok()
    }

    /// Downloads its files. Returns the path of the ONNX file, and the hold that keeps the files in the cache.
    pub(super) async fn fetch(&self, cache: &Cache) -> Result<(PathBuf, Held), StorageError> {
        let held = cache.fetch(&self.store, &self.objects).await?;
        Ok((held.path().join(&self.model_key), held))
    }
}

/// A model that cannot even be loaded, such as one with a mistake in its `config.toml`.
#[derive(Debug)]
pub(super) struct Broken {
    /// Its name.
    pub(super) name: String,
    /// The version that is shown for it.
    pub(super) version: String,
    /// What is wrong.
    pub(super) error: RepositoryError,
}

impl Broken {
    /// Returns the names of the model and the version.
    pub(super) fn key(&self) -> (String, String) {
        (self.name.clone(), self.version.clone())
    }
}

/// Lines for the log.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// What somebody should look at.
    pub(super) warnings: Vec<String>,
    /// What is as it should be.
    pub(super) notes: Vec<String>,
}

impl Remarks {
    pub(super) fn append(&mut self, other: Self) {
        self.warnings.extend(other.warnings);
        self.notes.extend(other.notes);
    }
}

/// The result of a scan of one place.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) broken: Vec<Broken>,
    /// Folders that look like models and are none.
    pub(super) skipped: Vec<Skipped>,
    /// Lines for the log.
    pub(super) remarks: Remarks,
    /// Whether there is any model, requested or not.
    pub(super) has_models: bool,
}

/// What is wrong with a model's configuration, while the model's name is unknown.
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

/// One place with models.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    store: Store,
    naming: Naming,
    /// The advice about each `config.pbtxt` by key, with the object that was read, so that an unchanged file is read
    /// once.
    triton_configs: BTreeMap<String, (Object, Option<String>)>,
}

impl Source {
    pub(super) fn open(place: Place, settings: &Settings) -> Result<Self, StorageError> {
        let store = Store::open(place.location(), settings)?;
        let naming = Naming::new(&place);
        Ok(Self { place, store, naming, triton_configs: BTreeMap::new() })
    }

    /// Returns whether files have to be downloaded.
    pub(super) fn is_remote(&self) -> bool {
        self.store.local_path().is_none()
    }

    pub(super) fn location(&self) -> &Location {
        self.store.location()
    }

    /// Returns the name of the model in this folder. An empty folder stands for the place itself.
    pub(super) fn name_of(&self, folder: &str) -> String {
        self.naming.name_of(Some(folder).filter(|folder| !folder.is_empty()))
    }

    /// Returns the location of a version's model: its folder, or the place itself.
    pub(super) fn model_location(&self, candidate: &Candidate) -> String {
        match self.naming.folder_of(&candidate.name) {
            Some(folder) if candidate.model_key.starts_with(&key_in(folder, "")) => {
                self.location().join(folder).to_string()
            }
            _ => self.location().to_string(),
        }
    }

    /// Finds the versions to serve, of every model or of the model `only`.
    ///
    /// # Errors
    /// The place cannot be read, or has several models although `--model-dir` allows one.
    pub(super) async fn find(&mut self, only: Option<&str>) -> Result<Found, RepositoryError> {
        let listing = self.store.look().await.map_err(|error| self.unread(error))?;
        let keys: Vec<&str> = listing.objects.iter().map(|object| object.key.as_str()).collect();
        let mut configs = self.configs(&keys, only).await;
        let named = |config: &ReadConfig| config.as_ref().ok()?.default_model_filename.clone();
        let names: FileNames =
            configs.iter().filter_map(|(folder, config)| Some((folder.clone(), named(config)?))).collect();
        let Layout { mut models, mut skipped } = discover(&keys, &names);
        if let Some(version) = self.naming.version() {
            set_version(&mut models, version);
        }
        self.check_is_one(&models)?;
        let warnings = self.naming.assign_name(&models, &keys, only).into_iter().collect();
        let mut remarks = Remarks { warnings, notes: Vec::new() };
        let has_models = !models.is_empty();
        let mut found = Found { has_models, ..Found::default() };
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let served: BTreeSet<String> = models.iter().map(|model| model.folder().to_owned()).collect();
        for model in models {
            let name = self.naming.name_of(model.name.as_deref());
            if !wanted(&name) {
                continue;
            }
            self.triton_config(model.folder(), &name, &listing.objects, &mut remarks).await;
            let config = configs.remove(model.folder()).unwrap_or_else(|| Ok(ModelConfig::default()));
            let config = config.map_err(|fault| fault.of(&name));
            match config.and_then(|config| self.versions(&name, &model, &config, &listing.objects)) {
                Ok(candidates) => found.candidates.extend(candidates),
                Err(error) => found.broken.push(Broken { name, version: newest(&model), error }),
            }
        }
        // A folder whose configuration is wrong, or names a missing file, is a broken model and not just a skipped
        // folder.
        skipped.retain(|folder| {
            let name = self.name_of(folder.model());
            let error = match configs.remove(folder.model()) {
                Some(Err(fault)) if folder.reason.is_of_names() => fault.of(&name),
                Some(Ok(_)) if matches!(folder.reason, Reason::NamedFileMissing(_)) => {
                    RepositoryError::Config { model: name.clone(), reason: folder.to_string() }
                }
                Some(_) | None => return true,
            };
            if wanted(&name) && !served.contains(folder.model()) {
                found.broken.push(Broken { name, version: version_of(folder), error });
            }
            served.contains(folder.model())
        });
        for folder in skipped.iter().filter(|folder| folder.reason.is_of_names()) {
            let name = self.name_of(folder.model());
            self.triton_config(folder.model(), &name, &listing.objects, &mut remarks).await;
        }
        for folder in listing.unreadable {
            let reason = Reason::Unreadable(folder.error.to_string());
            if folder.key == LOST_AND_FOUND {
                tracing::debug!(place = %self.location(), "folder '{LOST_AND_FOUND}' {reason}");
            } else {
                skipped.push(Skipped { folder: folder.key, reason });
            }
        }
        Ok(Found { skipped, remarks, ..found })
    }

    /// Converts the error of a place that cannot be read.
    fn unread(&self, error: StorageError) -> RepositoryError {
        let setting = match &self.place {
            Place::Model { .. } => "--model-dir",
            Place::Repository { .. } => "--model-repository",
        };
        match error {
            StorageError::NotFound { .. } => RepositoryError::NoPlace { error: Box::new(error), setting },
            error => error.into(),
        }
    }

    /// Returns why the model that a client asked for is not served, if its folder was skipped.
    pub(super) fn reason_not_served(&self, name: &str, found: &Found) -> Option<String> {
        let is_requested = |folder: &&Skipped| {
            folder.model() == name || (!found.has_models && self.naming.given() == Some(name))
        };
        found.skipped.iter().find(is_requested).map(ToString::to_string)
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

    /// Reads the configurations beside models, by the model's folder.
    async fn configs(&self, keys: &[&str], only: Option<&str>) -> BTreeMap<String, ReadConfig> {
        let mut configs = BTreeMap::new();
        for key in keys {
            let folder = match key.split('/').collect::<Vec<_>>()[..] {
                [CONFIG_FILE] => "",
                [folder, CONFIG_FILE] if !folder.starts_with('.') => folder,
                _ => continue,
            };
            if only.is_none_or(|only| self.naming.may_have_name(folder, only)) {
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

    /// Says what a model's `config.pbtxt` means here, if there is one. The file has no other effect.
    async fn triton_config(&mut self, folder: &str, model: &str, objects: &[Object], remarks: &mut Remarks) {
        let key = key_in(folder, TRITON_CONFIG_FILE);
        let Some(object) = objects.iter().find(|object| object.key == key) else { return };
        let known = self.triton_configs.get(&key).filter(|(known, _)| known == object);
        let advice = if let Some((_, advice)) = known {
            advice.clone()
        } else {
            let advice = match self.store.read(&key, MAX_TRITON_CONFIG_BYTES).await {
                Ok(text) => triton_config::advice(&String::from_utf8_lossy(&text)),
                Err(error) if error.is_transient() => return,
                Err(_) => Some(triton_config::UNREAD.to_owned()),
            };
            self.triton_configs.insert(key, (object.clone(), advice.clone()));
            advice
        };
        let own = key_in(folder, CONFIG_FILE);
        let about = format!("model '{model}': {TRITON_CONFIG_FILE} is Triton's and has no effect here");
        match advice {
            // Whoever has written a config.toml has seen the advice.
            _ if objects.iter().any(|object| object.key == own) => {
                remarks.notes.push(format!("{about}: {CONFIG_FILE} beside it counts"));
            }
            Some(advice) => remarks.warnings.push(format!("{about}: {advice}")),
            None => {
                remarks.notes.push(format!(
                    "{about}: what it says is in the model too, so no {CONFIG_FILE} is needed"
                ));
            }
        }
    }

    /// Returns the file with an example request for a model, if it is a local file.
    pub(super) fn example(&self, model: &str) -> Option<PathBuf> {
        let folder = self.store.local_path()?;
        let own = self.naming.folder_of(model).map(|own| folder.join(own).join(EXAMPLE_FILE));
        own.into_iter().chain([folder.join(EXAMPLE_FILE)]).find(|path| path.is_file())
    }
}

/// Returns the newest version of a model.
fn newest(model: &FoundModel) -> String {
    let newest = model.versions.keys().max_by(|left, right| version::compare(left, right));
    newest.cloned().unwrap_or_default()
}

fn version_of(folder: &Skipped) -> String {
    folder.folder.split('/').nth(1).unwrap_or("1").to_owned()
}
