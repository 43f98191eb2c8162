//! Finding models among the objects of a place: names and versions from keys alone. Pure.

use std::{collections::BTreeMap, path::Path};

/// Version of a model that has no version folder.
const ONLY_VERSION: &str = "1";

/// A model's own configuration, beside its versions.
pub(super) const CONFIG_FILE: &str = "config.toml";

/// A request that the model answers, for people to try.
pub(super) const EXAMPLE_FILE: &str = "example.json";

/// A model as its files lie in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundModel {
    /// Name of its folder; `None` where the place itself is the model.
    pub(super) name: Option<String>,
    /// Key of its `config.toml`.
    pub(super) config: Option<String>,
    /// Its versions by name.
    pub(super) versions: BTreeMap<String, FoundVersion>,
}

/// The files of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundVersion {
    /// Key of the ONNX file.
    pub(super) model: String,
    /// Keys of all files of the version's folder: the ONNX file and what it refers to.
    pub(super) files: Vec<String>,
}

/// Finds the models among `keys`, which are relative to the place. In this order:
/// `model.onnx` or one other `.onnx` file at the top: the place is a model of one version;
/// `<version>/model.onnx` with a number (`7`, `v7`) for the version: the place is a model;
/// `<model>/<version>/model.onnx` and `<model>/model.onnx`: the place is a model repository.
/// Hidden files and folders are passed over.
pub(super) fn discover(keys: &[&str]) -> Vec<FoundModel> {
    let mut folders: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for &key in keys {
        let mut parts: Vec<&str> = key.split('/').collect();
        let hidden = parts.iter().any(|part| part.starts_with('.') || part.is_empty());
        if !hidden && parts.len() <= 3 {
            parts.pop();
            folders.entry(parts).or_default().push(key);
        }
    }
    let has = |key: String| keys.contains(&key.as_str()).then_some(key);
    let versions: Vec<(Vec<&str>, FoundVersion)> =
        folders.iter().filter_map(|(path, files)| Some((path.clone(), version_in(files)?))).collect();

    if let Some((_, version)) = versions.iter().find(|(path, _)| path.is_empty()) {
        let versions = BTreeMap::from([(ONLY_VERSION.to_owned(), version.clone())]);
        return vec![FoundModel { name: None, config: has(CONFIG_FILE.into()), versions }];
    }
    let numbered: BTreeMap<String, FoundVersion> = versions
        .iter()
        .filter(|(path, _)| path.len() == 1 && is_number(path[0]))
        .map(|(path, version)| (path[0].to_owned(), version.clone()))
        .collect();
    if !numbered.is_empty() {
        return vec![FoundModel { name: None, config: has(CONFIG_FILE.into()), versions: numbered }];
    }
    let mut models: BTreeMap<&str, FoundModel> = BTreeMap::new();
    for (path, version) in versions {
        let name = path[0];
        let model = models.entry(name).or_insert_with(|| FoundModel {
            name: Some(name.to_owned()),
            config: has(format!("{name}/{CONFIG_FILE}")),
            versions: BTreeMap::new(),
        });
        model.versions.insert(path.get(1).copied().unwrap_or(ONLY_VERSION).to_owned(), version);
    }
    models.into_values().collect()
}

/// The version that a folder's files make: `model.onnx`, or else the only `.onnx` file.
fn version_in(files: &[&str]) -> Option<FoundVersion> {
    let file_name = |key: &str| Path::new(key).file_name().unwrap_or_default().to_owned();
    let mut onnx =
        files.iter().filter(|key| Path::new(key).extension().is_some_and(|extension| extension == "onnx"));
    let model = match files.iter().find(|key| file_name(key) == "model.onnx") {
        Some(model) => model,
        None => match (onnx.next(), onnx.next()) {
            (Some(only), None) => only,
            _ => return None,
        },
    };
    let beside = [CONFIG_FILE, EXAMPLE_FILE];
    let files = files.iter().filter(|key| !beside.iter().any(|name| file_name(key) == *name));
    Some(FoundVersion { model: (*model).to_owned(), files: files.map(|&key| key.to_owned()).collect() })
}

fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('v').unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, versions and their ONNX files.
    type Found = Vec<(Option<String>, Vec<(String, String)>)>;

    fn found(keys: &[&str]) -> Found {
        let versions = |model: &FoundModel| {
            model.versions.iter().map(|(version, found)| (version.clone(), found.model.clone())).collect()
        };
        discover(keys).iter().map(|model| (model.name.clone(), versions(model))).collect()
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
    fn what_is_no_model_is_passed_over() {
        assert!(found(&[]).is_empty());
        assert!(found(&["readme.md", "digits/1/weights.bin"]).is_empty());
        assert!(found(&["a.onnx", "b.onnx"]).is_empty(), "two files, and neither is model.onnx");
        assert!(found(&[".tmp/1/model.onnx", "digits/.1-half/model.onnx"]).is_empty(), "hidden");
        assert!(found(&["a/b/c/model.onnx"]).is_empty(), "too deep");
    }

    #[test]
    fn a_version_brings_its_companions_and_the_model_its_config() {
        let model = discover(&["config.toml", "example.json", "model.onnx", "weights.bin"]).remove(0);
        assert_eq!(model.config.as_deref(), Some("config.toml"));
        assert_eq!(model.versions["1"].files, ["model.onnx", "weights.bin"]);
    }
}
