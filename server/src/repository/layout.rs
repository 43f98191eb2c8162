//! Finds models and versions among the keys (relative paths) of a place's files. Does no input or output.

use std::{collections::BTreeMap, path::Path};

use super::skipped::{self, Skipped};

/// Version of a model without version folders.
const ONLY_VERSION: &str = "1";

/// Name of a model's configuration file, beside its versions.
pub(super) const CONFIG_FILE: &str = "config.toml";

/// Name of Triton's configuration file.
pub(super) const TRITON_CONFIG_FILE: &str = "config.pbtxt";

/// Name of a file with an example request for the model.
pub(super) const EXAMPLE_FILE: &str = "example.json";

/// Name of a version's ONNX file, unless the model's configuration names another.
pub(super) const MODEL_FILE: &str = "model.onnx";

/// Names of ONNX files in models' configurations, by the model's folder, which is empty for the place itself.
pub(super) type FileNames = BTreeMap<String, String>;

/// The models in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The models.
    pub(super) models: Vec<FoundModel>,
    /// Folders that look like models and are none, ordered by name.
    pub(super) skipped: Vec<Skipped>,
}

/// A model, as found in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundModel {
    /// Name of its folder; `None` if the place itself is the model.
    pub(super) name: Option<String>,
    /// Its versions by name; at least one.
    pub(super) versions: BTreeMap<String, FoundVersion>,
}

impl FoundModel {
    /// Returns its folder below the place; empty if the place itself is the model.
    pub(super) fn folder(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// The files of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundVersion {
    /// Key of the ONNX file.
    pub(super) model: String,
    /// Keys of all files in the version's folder: the ONNX file and the files that it refers to.
    pub(super) files: Vec<String>,
}

/// Returns the key of a file in a folder of the place. An empty folder stands for the place itself.
pub(super) fn key_in(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

/// Finds the models among `keys`, which are relative to the place. The first layout that fits counts:
///
/// 1. `model.onnx` or one other `.onnx` file at the top: the place is a model with one version.
/// 2. `<version>/model.onnx`, where the version is a number (`7`, `v7`): the place is a model.
/// 3. `<model>/<version>/model.onnx` and `<model>/model.onnx`: the place is a model repository.
///
/// If a model's configuration names its ONNX file, no other file counts. Hidden files and folders are ignored.
pub(super) fn discover(keys: &[&str], names: &FileNames) -> Layout {
    let tree = Tree::of(keys, names);
    let versions: Vec<(Vec<&str>, FoundVersion)> =
        tree.folders.keys().filter_map(|path| Some((path.clone(), tree.version_in(path)?))).collect();
    let models = models(versions);
    let skipped = skipped::find(&tree, &models);
    Layout { models, skipped }
}

fn models(versions: Vec<(Vec<&str>, FoundVersion)>) -> Vec<FoundModel> {
    if let Some((_, version)) = versions.iter().find(|(path, _)| path.is_empty()) {
        let versions = BTreeMap::from([(ONLY_VERSION.to_owned(), version.clone())]);
        return vec![FoundModel { name: None, versions }];
    }
    let numbered: BTreeMap<String, FoundVersion> = versions
        .iter()
        .filter(|(path, _)| path.len() == 1 && is_number(path[0]))
        .map(|(path, version)| (path[0].to_owned(), version.clone()))
        .collect();
    if !numbered.is_empty() {
        return vec![FoundModel { name: None, versions: numbered }];
    }
    let mut models: BTreeMap<&str, FoundModel> = BTreeMap::new();
    for (path, version) in versions {
        let name = path[0];
        let model = models
            .entry(name)
            .or_insert_with(|| FoundModel { name: Some(name.to_owned()), versions: BTreeMap::new() });
        model.versions.insert(path.get(1).copied().unwrap_or(ONLY_VERSION).to_owned(), version);
    }
    models.into_values().collect()
}

/// Gives a model that is the place itself this version, where it has no version folder. It is the name of the place.
pub(super) fn set_version(models: &mut [FoundModel], version: &str) {
    if let [FoundModel { name: None, versions }] = models
        && versions.values().all(|found| !found.model.contains('/'))
    {
        let found = std::mem::take(versions).into_values();
        versions.extend(found.map(|found| (version.to_owned(), found)));
    }
}

/// The keys of a place, by folder.
pub(super) struct Tree<'a> {
    /// Files in folders that may be versions, by the parts of the folder's path, of which there are at most two.
    pub(super) folders: BTreeMap<Vec<&'a str>, Vec<&'a str>>,
    /// Files in deeper folders.
    pub(super) deep: Vec<&'a str>,
    names: &'a FileNames,
}

impl<'a> Tree<'a> {
    fn of(keys: &[&'a str], names: &'a FileNames) -> Self {
        let mut tree = Self { folders: BTreeMap::new(), deep: Vec::new(), names };
        for &key in keys {
            let mut parts: Vec<&str> = key.split('/').collect();
            if parts.iter().any(|part| part.starts_with('.') || part.is_empty()) {
                continue;
            }
            parts.pop();
            if parts.len() <= 2 {
                tree.folders.entry(parts).or_default().push(key);
            } else {
                tree.deep.push(key);
            }
        }
        tree
    }

    /// Returns the name of the ONNX file that the model's configuration gives for this version's folder.
    pub(super) fn file_name(&self, path: &[&str]) -> Option<&str> {
        let model = match path {
            [model, _] => model,
            [model] if !is_number(model) => model,
            _ => "",
        };
        self.names.get(model).map(String::as_str)
    }

    /// Finds a version in a folder. Its ONNX file is the one that the configuration names, else `model.onnx`, else the
    /// only `.onnx` file.
    pub(super) fn version_in(&self, path: &[&str]) -> Option<FoundVersion> {
        let files = self.folders.get(path)?;
        let called = |name: &str| files.iter().find(|key| file_name(key) == name);
        let mut onnx = files.iter().filter(|key| is_onnx(key));
        let model = match self.file_name(path) {
            Some(name) => called(name)?,
            None => match called(MODEL_FILE) {
                Some(model) => model,
                None => match (onnx.next(), onnx.next()) {
                    (Some(only), None) => only,
                    _ => return None,
                },
            },
        };
        let beside = [CONFIG_FILE, TRITON_CONFIG_FILE, EXAMPLE_FILE];
        let files = files.iter().filter(|key| !beside.contains(&file_name(key)));
        Some(FoundVersion { model: (*model).to_owned(), files: files.map(|&key| key.to_owned()).collect() })
    }
}

/// Returns the last part of a key.
pub(super) fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Returns whether the name ends in `.onnx`.
pub(super) fn is_onnx(key: &str) -> bool {
    Path::new(key).extension().is_some_and(|extension| extension == "onnx")
}

/// Returns whether a folder of this name is a version at any level: a number, or `v` and a number.
pub(super) fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('v').unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, versions and their ONNX files.
    type Found = Vec<(Option<String>, Vec<(String, String)>)>;

    fn found_with(keys: &[&str], names: &[(&str, &str)]) -> Found {
        let versions = |model: &FoundModel| {
            model.versions.iter().map(|(version, found)| (version.clone(), found.model.clone())).collect()
        };
        let names = names.iter().map(|&(folder, name)| (folder.to_owned(), name.to_owned())).collect();
        discover(keys, &names).models.iter().map(|model| (model.name.clone(), versions(model))).collect()
    }

    fn found(keys: &[&str]) -> Found {
        found_with(keys, &[])
    }

    fn versions(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(version, key)| (version.to_owned(), key.to_owned())).collect()
    }

    #[test]
    fn a_model_repository_has_models_and_versions() {
        let keys =
            ["digits/config.toml", "digits/1/model.onnx", "digits/1/weights.bin", "digits/10/model.onnx"];
        let expected = versions(&[("1", "digits/1/model.onnx"), ("10", "digits/10/model.onnx")]);
        assert_eq!(found(&keys), [(Some("digits".into()), expected)]);
        let words = versions(&[("beta", "a/beta/model.onnx")]);
        assert_eq!(found(&["a/beta/model.onnx"]), [(Some("a".into()), words)], "any string is a version");
        let bare = versions(&[("1", "iris/model.onnx")]);
        assert_eq!(found(&["iris/model.onnx", "iris/readme.txt"]), [(Some("iris".into()), bare)]);
    }

    #[test]
    fn a_single_model_is_found_in_every_layout_of_kserve() {
        let top = versions(&[("1", "model.onnx")]);
        assert_eq!(found(&["model.onnx", "model.onnx.data"]), [(None, top)]);
        let other = versions(&[("1", "resnet.onnx")]);
        assert_eq!(found(&["resnet.onnx", "labels.txt"]), [(None, other)]);
        let numbered = versions(&[("3", "3/model.onnx"), ("v4", "v4/model.onnx")]);
        assert_eq!(found(&["3/model.onnx", "v4/model.onnx"]), [(None, numbered)]);
    }

    #[test]
    fn a_place_that_is_a_version_gives_its_model_that_version() {
        let with = |keys: &[&str]| {
            let mut models = discover(keys, &FileNames::new()).models;
            set_version(&mut models, "7");
            models[0].versions.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(with(&["model.onnx"]), ["7"]);
        assert_eq!(with(&["3/model.onnx", "4/model.onnx"]), ["3", "4"]);
        assert_eq!(with(&["m/model.onnx"]), ["1"]);
    }

    #[test]
    fn folders_without_a_model_are_skipped() {
        assert!(found(&[]).is_empty());
        assert!(found(&["readme.md", "digits/1/weights.bin"]).is_empty());
        assert!(found(&["a.onnx", "b.onnx"]).is_empty(), "two files, and neither is model.onnx");
        assert!(found(&[".tmp/1/model.onnx", "digits/.1-half/model.onnx"]).is_empty(), "hidden");
        assert!(found(&["a/b/c/model.onnx"]).is_empty(), "too deep");
    }

    #[test]
    fn a_version_has_all_files_of_its_folder() {
        let keys = ["config.toml", "config.pbtxt", "example.json", "model.onnx", "weights.bin"];
        let model = discover(&keys, &FileNames::new()).models.remove(0);
        assert_eq!(model.versions["1"].files, ["model.onnx", "weights.bin"]);
    }

    #[test]
    fn the_file_that_the_configuration_names_is_the_model_in_every_layout() {
        let both = |folder: &str| ["encoder.onnx", "model.onnx"].map(|file| key_in(folder, file));
        for (folder, named, name, version) in [
            ("", "", None, "1"),
            ("3", "", None, "3"),
            ("m", "m", Some("m"), "1"),
            ("m/3", "m", Some("m"), "3"),
        ] {
            let keys = both(folder);
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let expected = versions(&[(version, &key_in(folder, "encoder.onnx"))]);
            let found = found_with(&keys, &[(named, "encoder.onnx")]);
            assert_eq!(found, [(name.map(str::to_owned), expected)], "{folder}");
            assert!(found_with(&keys, &[(named, "other.onnx")]).is_empty(), "{folder}: no other will do");
        }
    }
}
