//! Files of the repository, and of `KServe` beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("not YAML: {error}"))
}

/// Every manifest below `deploy/kserve`, with its file's name.
pub(crate) fn manifests() -> Vec<(String, Value)> {
    let folder = root().join("deploy/kserve");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let documents = files.iter().flat_map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let documents = yaml(&fs::read_to_string(path).unwrap());
        documents.into_iter().map(move |document| (name.clone(), document))
    });
    documents.collect()
}

/// The one manifest of a kind.
pub(crate) fn manifest(kind: &str) -> Value {
    let mut found =
        manifests().into_iter().map(|(_, document)| document).filter(|document| document["kind"] == kind);
    let manifest = found.next().unwrap_or_else(|| panic!("deploy/kserve has no {kind}"));
    assert!(found.next().is_none(), "deploy/kserve has two of kind {kind}");
    manifest
}

/// `KServe`'s own definitions and pods. `None`, said loudly, where they are not at hand; in CI that is a
/// failure.
pub(crate) fn kserve_folder() -> Option<PathBuf> {
    let folder =
        std::env::var_os("KSERVE_DIR").map_or_else(|| root().join("../shared/kserve"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!(
        "{} is missing: set KSERVE_DIR to a folder with KServe's crds/ and pods-v0.20.0.json",
        folder.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("NOT TESTED: {missing}");
    None
}
