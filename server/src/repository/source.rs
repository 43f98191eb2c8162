//! One place that holds models: what is there, and bringing it here.

use std::path::PathBuf;

use storage::{Cache, Location, Object, Settings, StorageError, Store};

use super::{
    error::RepositoryError,
    layout::{EXAMPLE_FILE, FoundModel, discover},
    version,
};
use crate::{config::Place, model::ModelConfig};

/// A `config.toml` has a few lines; a larger one is a mistake.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

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

    /// Brings its files here and returns the path of the ONNX file.
    pub(super) async fn fetch(&self, cache: &Cache) -> Result<PathBuf, StorageError> {
        Ok(cache.fetch(&self.store, &self.objects).await?.join(&self.model_key))
    }
}

/// One place that holds models.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    store: Store,
}

impl Source {
    pub(super) fn open(place: Place, settings: &Settings) -> Result<Self, StorageError> {
        let store = Store::open(place.location(), settings)?;
        Ok(Self { place, store })
    }

    /// Finds the versions that are to be served, of every model or of one.
    pub(super) async fn candidates(&self, only: Option<&str>) -> Result<Vec<Candidate>, RepositoryError> {
        let objects = self.store.list().await?;
        let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
        let models = discover(&keys);
        if models.is_empty() {
            return Err(RepositoryError::Empty(self.store.location().to_string()));
        }
        if let (Place::Model { location, name }, true) = (&self.place, models.len() > 1) {
            let found: Vec<&str> = models.iter().filter_map(|model| model.name.as_deref()).collect();
            return Err(RepositoryError::SeveralModels {
                location: location.to_string(),
                name: name.clone(),
                found: found.join(", "),
            });
        }
        let mut candidates = Vec::new();
        for model in models {
            if only.is_some_and(|only| only != self.name_of(&model)) {
                continue;
            }
            candidates.extend(self.versions(model, &objects).await?);
        }
        Ok(candidates)
    }

    async fn versions(
        &self,
        model: FoundModel,
        objects: &[Object],
    ) -> Result<Vec<Candidate>, RepositoryError> {
        let name = self.name_of(&model);
        let config = self.config(&model).await?;
        let available: Vec<String> = model.versions.keys().cloned().collect();
        let wanted = version::select(&config.version_policy, available)
            .map_err(|reason| RepositoryError::Config { model: name.clone(), reason })?;
        if config.sha256.is_some() && !matches!(&wanted[..], [_]) {
            let reason = "sha256 names one file: serve one version, by version_policy".to_owned();
            return Err(RepositoryError::Config { model: name, reason });
        }
        let candidate = |version: String| {
            let found = &model.versions[&version];
            let objects =
                objects.iter().filter(|object| found.files.contains(&object.key)).cloned().collect();
            Candidate {
                name: name.clone(),
                version,
                model_key: found.model.clone(),
                objects,
                config: config.clone(),
                store: self.store.clone(),
            }
        };
        Ok(wanted.into_iter().map(candidate).collect())
    }

    async fn config(&self, model: &FoundModel) -> Result<ModelConfig, RepositoryError> {
        let Some(key) = &model.config else { return Ok(ModelConfig::default()) };
        let refused = |reason: String| RepositoryError::Config { model: self.name_of(model), reason };
        let bytes = self.store.read(key, MAX_CONFIG_BYTES).await?;
        let text = std::str::from_utf8(&bytes).map_err(|error| refused(error.to_string()))?;
        ModelConfig::parse(text).map_err(|error| refused(error.to_string()))
    }

    /// The name that requests use: the place's own where it has one, else the folder's.
    fn name_of(&self, model: &FoundModel) -> String {
        match (&self.place, &model.name) {
            (Place::Model { name, .. }, _)
            | (Place::Repository { single_model_name: Some(name), .. }, None)
            | (Place::Repository { .. }, Some(name)) => name.clone(),
            (Place::Repository { location, .. }, None) => last_segment(location),
        }
    }

    /// A request for people to try, where one lies beside the model on this machine.
    pub(super) fn example(&self, model: &str) -> Option<PathBuf> {
        let folder = self.store.local_path()?;
        let beside = [folder.join(model).join(EXAMPLE_FILE), folder.join(EXAMPLE_FILE)];
        beside.into_iter().find(|path| path.is_file())
    }
}

/// The last part of an address that says something: `digits` of `s3://bucket/digits/`.
fn last_segment(location: &Location) -> String {
    let written = match location {
        Location::Folder(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        Location::Bucket(_) => location.to_string(),
    };
    let mut segments = written.rsplit('/').map(|segment| segment.strip_suffix(".onnx").unwrap_or(segment));
    segments.find(|segment| !segment.is_empty() && *segment != "model").unwrap_or("model").to_owned()
}
