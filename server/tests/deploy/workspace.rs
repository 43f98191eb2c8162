//! Files of the repository, and of `KServe` beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
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

/// Folders of `deploy/kserve` that a user applies.
pub(crate) const APPLIED: [&str; 4] =
    ["overlays/kubeflow", "overlays/standard", "overlays/knative", "runtime"];

/// What `kubectl apply --kustomize` sends of a folder of `deploy/kserve`.
pub(crate) fn kustomized(folder: &str) -> Vec<Value> {
    let path = root().join("deploy/kserve").join(folder);
    let output = Command::new("kubectl").arg("kustomize").arg(&path).output().unwrap_or_else(|error| {
        panic!("kubectl cannot be run ({error}): install it, https://kubernetes.io/docs/tasks/tools/")
    });
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    yaml(&String::from_utf8(output.stdout).unwrap())
}

/// Every manifest that `deploy/kserve` gives, with the folder or file that it comes from.
pub(crate) fn manifests() -> Vec<(String, Value)> {
    let examples = root().join("deploy/kserve/examples");
    let mut files: Vec<PathBuf> =
        fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let applied = APPLIED.iter().map(|folder| ((*folder).to_owned(), kustomized(folder)));
    let examples = files.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, yaml(&fs::read_to_string(path).unwrap()))
    });
    let named = |(name, documents): (String, Vec<Value>)| {
        documents.into_iter().map(move |document| (name.clone(), document))
    };
    applied.chain(examples).flat_map(named).collect()
}

/// The one manifest of a kind among some.
pub(crate) fn of_kind(documents: &[Value], kind: &str) -> Value {
    let found: Vec<&Value> = documents.iter().filter(|document| document["kind"] == kind).collect();
    let [manifest] = found[..] else { panic!("{} manifests of kind {kind}", found.len()) };
    manifest.clone()
}

/// The runtime for the whole cluster.
pub(crate) fn runtime() -> Value {
    of_kind(&kustomized("runtime"), "ClusterServingRuntime")
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
