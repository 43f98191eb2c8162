//! The names of the models in a place: those of their folders, or the configured one (`--model-name`).

use storage::Location;

use super::layout::{FoundModel, is_number};
use crate::config::Place;

/// Beginning of the name of a file that `KServe`'s agent writes into each model folder that it has filled. Such folders
/// have the names of their models.
const AGENT_MARK: &str = "SUCCESS.";

/// The model to which the configured name belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// Undecided, since no model was found yet.
    Undecided,
    /// The model in this folder, which was the only one when it was first found.
    Folder(String),
    /// No model: there are several, or clients use the names of the folders.
    NoModel,
}

/// Names the models of one place.
///
/// The configured name belongs to the only model of the place. It stays with this model when others arrive, so that
/// names do not change under clients. When the model is removed, the name becomes free again.
#[derive(Debug)]
pub(super) struct Naming {
    /// The configured name (`--model-name`).
    given: Option<String>,
    /// Whether the name holds for any folder, since the place must have exactly one model (`--model-dir`).
    is_strict: bool,
    /// The name of a model that is the place itself, if no name is configured.
    place: String,
    /// The version of a model that is the place itself, if the place has the name of one.
    version: Option<String>,
    location: String,
    owner: Owner,
}

impl Naming {
    pub(super) fn new(place: &Place) -> Self {
        let (given, is_strict) = match place {
            Place::Model { name, .. } => (Some(name.clone()), true),
            Place::Repository { single_model_name, .. } => (single_model_name.clone(), false),
        };
        let location = place.location();
        let (place, version) = named_by(location);
        Self { given, is_strict, place, version, location: location.to_string(), owner: Owner::Undecided }
    }

    /// Decides which of the models gets the configured name. `only` is the model that a client asked to load. Returns a
    /// warning if no model gets the name.
    pub(super) fn assign_name(
        &mut self,
        models: &[FoundModel],
        keys: &[&str],
        only: Option<&str>,
    ) -> Option<String> {
        let given = self.given.as_deref().filter(|_| !self.is_strict)?;
        let has = |folder: &str| models.iter().any(|model| model.name.as_deref() == Some(folder));
        if let Owner::Folder(folder) = &self.owner
            && !models.is_empty()
            && !has(folder)
        {
            self.owner = Owner::Undecided;
        }
        let is_filled_by_agent = || {
            keys.iter()
                .any(|key| matches!(key.split_once('/'), Some((_, file)) if file.starts_with(AGENT_MARK)))
        };
        if self.owner == Owner::Undecided {
            self.owner = match models {
                [] | [FoundModel { name: None, .. }] => Owner::Undecided,
                _ if is_filled_by_agent() => Owner::NoModel,
                [FoundModel { name: Some(folder), .. }] if only == Some(folder) && folder != given => {
                    Owner::NoModel
                }
                [FoundModel { name: Some(folder), .. }] => Owner::Folder(folder.clone()),
                _ => Owner::NoModel,
            };
        }
        if self.owner != Owner::NoModel || models.len() < 2 || has(given) || is_filled_by_agent() {
            return None;
        }
        let folders: Vec<&str> = models.iter().map(FoundModel::folder).collect();
        Some(format!(
            "{}: there are several models, which have the names of their folders ({}): the name '{given}' \
             (--model-name or INFERENCE_SERVICE_NAME) is not used, since it is for a place with one model",
            self.location,
            folders.join(", ")
        ))
    }

    /// Returns the name of the model in this folder; `None` stands for the place itself.
    pub(super) fn name_of(&self, folder: Option<&str>) -> String {
        match (&self.given, folder) {
            (Some(given), _) if self.is_strict => given.clone(),
            (Some(given), None) => given.clone(),
            (Some(given), Some(folder)) if self.owner == Owner::Folder(folder.to_owned()) => given.clone(),
            (_, Some(folder)) => folder.to_owned(),
            (None, None) => self.place.clone(),
        }
    }

    /// Returns the version of a model that is the place itself, if the place is the folder of a version.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns the folder of the model with this name; `None` if it is the place itself or unknown.
    pub(super) fn folder_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match &self.owner {
            Owner::Folder(folder) if self.given.as_deref() == Some(name) => Some(folder),
            _ if self.is_strict => None,
            _ => Some(name),
        }
    }

    /// Returns whether the model in this folder may have this name. An empty folder stands for the place itself.
    pub(super) fn may_have_name(&self, folder: &str, name: &str) -> bool {
        let is_undecided = self.given.is_some() && (self.is_strict || self.owner == Owner::Undecided);
        is_undecided || folder.is_empty() || self.folder_of(name) == Some(folder)
    }

    /// The configured name (`--model-name`).
    pub(super) fn given(&self) -> Option<&str> {
        self.given.as_deref()
    }
}

/// Returns the name and the version that an address gives to the model that lies there: `digits` of `s3://bucket/digits`,
/// and also version `3` of `s3://bucket/digits/3`.
fn named_by(location: &Location) -> (String, Option<String>) {
    let written = match location {
        Location::Folder(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        Location::Bucket(_) => location.to_string(),
    };
    let segments = written.rsplit('/').map(|segment| segment.strip_suffix(".onnx").unwrap_or(segment));
    let is_scheme = |segment: &str| segment.ends_with(':');
    let mut meaningful =
        segments.filter(|segment| !segment.is_empty() && *segment != "model" && !is_scheme(segment));
    match (meaningful.next(), meaningful.next()) {
        (Some(version), Some(name)) if is_number(version) => (name.to_owned(), Some(version.to_owned())),
        (last, _) => (last.unwrap_or("model").to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::layout::{FileNames, discover},
        *,
    };

    fn naming(given: Option<&str>) -> Naming {
        let location = "/srv/place".parse().unwrap();
        Naming::new(&Place::Repository { location, single_model_name: given.map(str::to_owned) })
    }

    /// Returns the names of the models, and whether there was a warning.
    fn names(naming: &mut Naming, keys: &[&str], only: Option<&str>) -> (Vec<String>, bool) {
        let models = discover(keys, &FileNames::new()).models;
        let warned = naming.assign_name(&models, keys, only).is_some();
        (models.iter().map(|model| naming.name_of(model.name.as_deref())).collect(), warned)
    }

    #[test]
    fn the_only_model_gets_the_configured_name_in_every_layout() {
        for key in ["model.onnx", "3/model.onnx", "onnx/model.onnx", "onnx/3/model.onnx"] {
            let (found, warned) = names(&mut naming(Some("minilm")), &["config.json", key], None);
            assert_eq!((found, warned), (vec!["minilm".to_owned()], false), "{key}");
        }
        assert_eq!(names(&mut naming(None), &["onnx/model.onnx"], None).0, ["onnx"]);
        assert_eq!(names(&mut naming(None), &["model.onnx"], None).0, ["place"]);
    }

    #[test]
    fn the_folder_of_a_version_is_not_the_name_of_its_model() {
        for (address, name, version) in [
            ("/srv/digits/3", "digits", Some("3")),
            ("/srv/digits/3/model.onnx", "digits", Some("3")),
            ("/srv/digits/v3/", "digits", Some("v3")),
            ("s3://bucket/models/digits/3", "digits", Some("3")),
            ("s3://bucket/digits", "digits", None),
            ("/srv/digits/resnet.onnx", "resnet", None),
            ("s3://bucket/3", "bucket", Some("3")),
            ("/3", "3", None),
            ("/", "model", None),
        ] {
            let place = Place::Repository { location: address.parse().unwrap(), single_model_name: None };
            let naming = Naming::new(&place);
            assert_eq!((naming.name_of(None).as_str(), naming.version()), (name, version), "{address}");
        }
    }

    #[test]
    fn several_models_have_the_names_of_their_folders() {
        let keys = ["a/model.onnx", "b/model.onnx"];
        let mut naming = naming(Some("minilm"));
        assert_eq!(names(&mut naming, &keys, None), (vec!["a".into(), "b".into()], true));
        assert_eq!(names(&mut naming, &keys[..1], None).0, ["a"], "names do not change under clients");
        let mut named_like_one = super::tests::naming(Some("b"));
        assert_eq!(names(&mut named_like_one, &keys, None), (vec!["a".into(), "b".into()], false));
    }

    #[test]
    fn the_name_stays_with_its_model_until_the_model_is_removed() {
        let mut naming = naming(Some("minilm"));
        assert!(names(&mut naming, &[], None).0.is_empty());
        assert_eq!(names(&mut naming, &["onnx/model.onnx"], None).0, ["minilm"]);
        let both = ["onnx/model.onnx", "other/model.onnx"];
        assert_eq!(names(&mut naming, &both, None), (vec!["minilm".into(), "other".into()], false));
        assert_eq!(naming.folder_of("minilm"), Some("onnx"));
        assert!(naming.may_have_name("onnx", "minilm") && !naming.may_have_name("other", "minilm"));
        assert_eq!(names(&mut naming, &both[1..], None).0, ["minilm"], "the only one left");
    }

    #[test]
    fn models_from_kserve_s_agent_have_the_names_of_their_folders() {
        let mut asked = naming(Some("service"));
        assert_eq!(names(&mut asked, &["iris/model.onnx"], Some("iris")).0, ["iris"]);
        assert_eq!(names(&mut asked, &["iris/model.onnx"], None).0, ["iris"]);
        let keys = ["iris/SUCCESS.0a1b", "iris/model.onnx"];
        assert_eq!(names(&mut naming(Some("service")), &keys, None), (vec!["iris".into()], false));
    }
}
