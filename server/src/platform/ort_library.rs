//! Finds the ONNX Runtime library. The server loads it at start-up, so that one binary works with the library for CPUs
//! and with the one for CUDA. The usual places are searched, so that users need not name the file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::environment::Environment;

/// The release of ONNX Runtime that Decima is built and tested with.
pub const VERSION: &str = "1.32.0";

/// Folders of the system that hold shared libraries.
const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// No library was found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// `ORT_DYLIB_PATH` names a place without a library.
    #[error(
        "ORT_DYLIB_PATH names {0}, where there is no ONNX Runtime library: correct it, or unset it to have the \
         usual places searched"
    )]
    Named(PathBuf),
    /// None of these folders, the usual places, has it.
    #[error(
        "no ONNX Runtime library found ({} places searched, the first {}): run `scripts/setup onnxruntime` in a \
         clone of Decima, or `pip install onnxruntime=={VERSION}` and set ORT_DYLIB_PATH to the file \
         onnxruntime/capi/libonnxruntime.so.{VERSION} in it",
        .0.len(),
        .0.first().map_or_else(String::new, |folder| folder.display().to_string())
    )]
    Anywhere(Vec<PathBuf>),
}

/// Finds the library. If `ORT_DYLIB_PATH` is set, only that place counts. Otherwise the search goes through the folder
/// of the executable, the folders `lib/decima` and `lib` next to that, the cache that `make` fills, and the system's folders.
///
/// # Errors
/// The library is in none of these places.
pub fn find(environment: &Environment) -> Result<PathBuf, NotFound> {
    let get = |name: &str| environment.get(name).filter(|text| !text.is_empty());
    if let Some(named) = get("ORT_DYLIB_PATH") {
        let named = PathBuf::from(named);
        // The variable may name the file itself or the folder that holds it.
        return if named.is_file() { Some(named.clone()) } else { library_in(&named) }
            .ok_or(NotFound::Named(named));
    }
    let executable = std::env::current_exe().ok();
    let cache = get("DECIMA_CACHE")
        .map(PathBuf::from)
        .or_else(|| get("HOME").map(|home| Path::new(&home).join(".cache/decima")));
    let folders = folders(executable.as_deref(), cache.as_deref());
    folders.iter().find_map(|folder| library_in(folder)).ok_or(NotFound::Anywhere(folders))
}

/// Returns the folders to search, in this order.
fn folders(executable: Option<&Path>, cache: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(beside) = executable.and_then(Path::parent) {
        folders.push(beside.to_owned());
        // where `make install` puts it, and where others may
        folders.extend(beside.parent().into_iter().flat_map(|prefix| {
            let lib = prefix.join("lib");
            [lib.join("decima"), lib]
        }));
    }
    if let Some(cache) = cache {
        folders.push(cache.join(format!("onnxruntime-{VERSION}")));
        folders.extend(newest_first(cache, "onnxruntime-"));
    }
    folders.extend(SYSTEM_FOLDERS.map(PathBuf::from));
    folders
}

/// Finds the library in a folder: the file without a version in its name, else the newest with one.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let plain = ["libonnxruntime.so", "libonnxruntime.dylib"].map(|name| folder.join(name));
    plain
        .into_iter()
        .chain(newest_first(folder, "libonnxruntime.so."))
        .chain(newest_first(folder, "libonnxruntime."))
        .find(|path| path.is_file())
}

/// Returns the entries of a folder whose name is the prefix and a version, the newest version first.
fn newest_first(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u64>, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.trim_end_matches(".dylib").to_owned();
            let numbers = version.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
            Some((numbers, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn find_with(variables: &[(&str, &Path)]) -> Result<PathBuf, NotFound> {
        find(&variables.iter().map(|(name, path)| (*name, path.to_str().unwrap())).collect())
    }

    #[test]
    fn the_path_in_the_environment_is_the_only_one_searched() {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("capi/libonnxruntime.so.1.32.0");
        touch(&library);
        assert_eq!(find_with(&[("ORT_DYLIB_PATH", &library)]).unwrap(), library);
        assert_eq!(find_with(&[("ORT_DYLIB_PATH", library.parent().unwrap())]).unwrap(), library);
        let missing = root.path().join("nowhere.so");
        let variables = [("ORT_DYLIB_PATH", missing.as_path()), ("DECIMA_CACHE", root.path())];
        let error = find_with(&variables).unwrap_err().to_string();
        assert!(error.contains("nowhere.so") && error.contains("ORT_DYLIB_PATH"), "{error}");
    }

    #[test]
    fn the_cache_is_searched_for_our_version_first_and_the_newest_then() {
        let root = tempfile::tempdir().unwrap();
        let library =
            |version: &str| root.path().join(format!("onnxruntime-{version}/libonnxruntime.so.{version}"));
        for version in ["1.9.0", "1.40.1"] {
            touch(&library(version));
        }
        assert_eq!(find_with(&[("DECIMA_CACHE", root.path())]).unwrap(), library("1.40.1"));
        touch(&library(VERSION));
        assert_eq!(find_with(&[("DECIMA_CACHE", root.path())]).unwrap(), library(VERSION));
    }

    #[test]
    fn the_cache_lies_in_the_home_folder_by_default() {
        let home = tempfile::tempdir().unwrap();
        let library = home.path().join(format!(".cache/decima/onnxruntime-{VERSION}/libonnxruntime.so"));
        touch(&library);
        assert_eq!(find_with(&[("HOME", home.path())]).unwrap(), library);
    }

    #[test]
    fn beside_the_executable_comes_before_the_cache() {
        let folders = folders(Some(Path::new("/opt/decima/bin/decima-server")), Some(Path::new("/cache")));
        assert_eq!(folders[0], Path::new("/opt/decima/bin"));
        assert_eq!(folders[1], Path::new("/opt/decima/lib/decima"));
        assert_eq!(folders[2], Path::new("/opt/decima/lib"));
        assert_eq!(folders[3], Path::new("/cache/onnxruntime-1.32.0"));
    }

    #[test]
    fn the_error_names_both_ways_to_get_the_library() {
        let error = NotFound::Anywhere(vec!["/opt/decima/bin".into()]).to_string();
        for part in [
            "scripts/setup onnxruntime",
            "pip install onnxruntime==1.32.0",
            "ORT_DYLIB_PATH",
            "/opt/decima/bin",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_version_is_the_one_that_setup_installs() {
        let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/versions.env");
        let line = format!("ONNXRUNTIME_VERSION={VERSION}");
        assert!(fs::read_to_string(versions).unwrap().lines().any(|read| read == line), "{line}");
    }
}
