//! What the models of a place are called: after their folders, or as the server was told.

use storage::Location;

use super::layout::FoundModel;
use crate::config::Place;

/// What `KServe`'s agent leaves in each folder that it has filled: the folders are named after models.
const AGENT_MARK: &str = "SUCCESS.";

/// Which model the name that was given belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// It is not decided: no model has been seen yet.
    Open,
    /// The model in this folder, the only one when it was first seen.
    Folder(String),
    /// None: there are several models, or a client asks for them by their folders.
    Nobody,
}

/// How the models of one place are called.
///
/// A name that was given belongs to the only model of the place, and stays with it when others come: what clients
/// use does not change under them. It is given anew when that model has gone.
#[derive(Debug)]
pub(super) struct Naming {
    /// The name that the server was told.
    given: Option<String>,
    /// Whether it holds whatever there is: the place is to hold one model.
    is_strict: bool,
    /// What a model without a folder of its own is called where no name was given.
    place: String,
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
        Self {
            given,
            is_strict,
            place: last_segment(location),
            location: location.to_string(),
            owner: Owner::Open,
        }
    }

    /// Decides which model has the name, by the models that there are; `only` is the one that a client asks for. Returns a
    /// warning, where the name that was given is not used.
    pub(super) fn settle(
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
            self.owner = Owner::Open;
        }
        let is_filled_by_agent = || {
            keys.iter()
                .any(|key| matches!(key.split_once('/'), Some((_, file)) if file.starts_with(AGENT_MARK)))
        };
        if self.owner == Owner::Open {
            self.owner = match models {
                [] | [FoundModel { name: None, .. }] => Owner::Open,
                _ if is_filled_by_agent() => Owner::Nobody,
                [FoundModel { name: Some(folder), .. }] if only == Some(folder) && folder != given => {
                    Owner::Nobody
                }
                [FoundModel { name: Some(folder), .. }] => Owner::Folder(folder.clone()),
                _ => Owner::Nobody,
            };
        }
        if self.owner != Owner::Nobody || models.len() < 2 || has(given) || is_filled_by_agent() {
            return None;
        }
        let folders: Vec<&str> = models.iter().map(FoundModel::folder).collect();
        Some(format!(
            "{}: there are several models, which are called after their folders ({}): the name '{given}' \
             (--model-name or INFERENCE_SERVICE_NAME) is for a model that is alone",
            self.location,
            folders.join(", ")
        ))
    }

    /// What the model in this folder is called; `None` is the place itself.
    pub(super) fn name_of(&self, folder: Option<&str>) -> String {
        match (&self.given, folder) {
            (Some(given), _) if self.is_strict => given.clone(),
            (Some(given), None) => given.clone(),
            (Some(given), Some(folder)) if self.owner == Owner::Folder(folder.to_owned()) => given.clone(),
            (_, Some(folder)) => folder.to_owned(),
            (None, None) => self.place.clone(),
        }
    }

    /// The folder of the model of this name, where it has one of its own.
    pub(super) fn folder_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match &self.owner {
            Owner::Folder(folder) if self.given.as_deref() == Some(name) => Some(folder),
            _ if self.is_strict => None,
            _ => Some(name),
        }
    }

    /// Whether the model in this folder, empty for the place itself, may be the one of this name.
    pub(super) fn may_be(&self, folder: &str, name: &str) -> bool {
        let is_undecided = self.given.is_some() && (self.is_strict || self.owner == Owner::Open);
        is_undecided || folder.is_empty() || self.folder_of(name) == Some(folder)
    }

    /// The name that the server was told.
    pub(super) fn given(&self) -> Option<&str> {
        self.given.as_deref()
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

    /// The names of what is there, and whether a warning came.
    fn names(naming: &mut Naming, keys: &[&str], only: Option<&str>) -> (Vec<String>, bool) {
        let models = discover(keys, &FileNames::new()).models;
        let warned = naming.settle(&models, keys, only).is_some();
        (models.iter().map(|model| naming.name_of(model.name.as_deref())).collect(), warned)
    }

    #[test]
    fn the_only_model_answers_to_the_name_that_was_given_in_every_layout() {
        for key in ["model.onnx", "3/model.onnx", "onnx/model.onnx", "onnx/3/model.onnx"] {
            let (found, warned) = names(&mut naming(Some("minilm")), &["config.json", key], None);
            assert_eq!((found, warned), (vec!["minilm".to_owned()], false), "{key}");
        }
        assert_eq!(names(&mut naming(None), &["onnx/model.onnx"], None).0, ["onnx"]);
        assert_eq!(names(&mut naming(None), &["model.onnx"], None).0, ["place"]);
    }

    #[test]
    fn several_models_are_called_after_their_folders() {
        let keys = ["a/model.onnx", "b/model.onnx"];
        let mut naming = naming(Some("minilm"));
        assert_eq!(names(&mut naming, &keys, None), (vec!["a".into(), "b".into()], true));
        assert_eq!(names(&mut naming, &keys[..1], None).0, ["a"], "names do not change under clients");
        let mut named_like_one = super::tests::naming(Some("b"));
        assert_eq!(names(&mut named_like_one, &keys, None), (vec!["a".into(), "b".into()], false));
    }

    #[test]
    fn the_name_stays_with_its_model_until_that_has_gone() {
        let mut naming = naming(Some("minilm"));
        assert!(names(&mut naming, &[], None).0.is_empty());
        assert_eq!(names(&mut naming, &["onnx/model.onnx"], None).0, ["minilm"]);
        let both = ["onnx/model.onnx", "other/model.onnx"];
        assert_eq!(names(&mut naming, &both, None), (vec!["minilm".into(), "other".into()], false));
        assert_eq!(naming.folder_of("minilm"), Some("onnx"));
        assert!(naming.may_be("onnx", "minilm") && !naming.may_be("other", "minilm"));
        assert_eq!(names(&mut naming, &both[1..], None).0, ["minilm"], "the only one left");
    }

    #[test]
    fn a_place_that_kserve_s_agent_fills_has_models_after_their_folders() {
        let mut asked = naming(Some("service"));
        assert_eq!(names(&mut asked, &["iris/model.onnx"], Some("iris")).0, ["iris"]);
        assert_eq!(names(&mut asked, &["iris/model.onnx"], None).0, ["iris"]);
        let keys = ["iris/SUCCESS.0a1b", "iris/model.onnx"];
        assert_eq!(names(&mut naming(Some("service")), &keys, None), (vec!["iris".into()], false));
    }
}
