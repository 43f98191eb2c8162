//! Finds folders that look like models and are none, and explains why. Does no input or output.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::layout::{
    CONFIG_FILE, FoundModel, MODEL_FILE, TRITON_CONFIG_FILE, Tree, file_name, is_number, is_onnx,
};

/// Names, or endings of names, of model files in other formats than ONNX, with their formats.
const OTHER_FORMATS: [(&str, &str); 17] = [
    ("model.py", "a program in Python"),
    ("saved_model.pb", "TensorFlow"),
    ("pytorch_model.bin", "PyTorch weights"),
    (".pb", "TensorFlow"),
    (".pt", "PyTorch"),
    (".pth", "PyTorch"),
    (".safetensors", "weights without a graph"),
    (".h5", "Keras"),
    (".keras", "Keras"),
    (".tflite", "TensorFlow Lite"),
    (".plan", "TensorRT"),
    (".engine", "TensorRT"),
    (".joblib", "a Python object"),
    (".pkl", "a Python object"),
    (".bst", "XGBoost"),
    (".ubj", "XGBoost"),
    (".gguf", "GGUF"),
];

/// Most files that a line names before it only counts the rest.
const MOST_NAMED: usize = 3;

/// A folder that looks like a model, or a version of one, and is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    /// The folder below the place; empty for the place itself.
    pub(super) folder: String,
    /// Why it is not served.
    pub(super) reason: Reason,
}

impl Skipped {
    /// Returns the folder of the model that this folder is, or is a version of.
    pub(super) fn model(&self) -> &str {
        self.folder.split('/').next().unwrap_or_default()
    }

    /// Returns whether the content of the folder is unknown, since it cannot be read.
    pub(super) fn is_hidden(&self) -> bool {
        matches!(self.reason, Reason::Unreadable(_))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.folder.as_str() {
            "" => write!(f, "the place itself {}", self.reason),
            folder => write!(f, "folder '{folder}' {}", self.reason),
        }
    }
}

/// Why a folder is no model. If several reasons apply, the first in this order is reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// The folder cannot be read.
    Unreadable(String),
    /// The file that its configuration names does not exist.
    NamedFileMissing(String),
    /// It has several ONNX files, and no configuration names one of them.
    SeveralFiles(Vec<String>),
    /// It has an ONNX file whose ending is not in lower case, such as `.ONNX`.
    WrongCase(String),
    /// It has an ONNX file in a folder that is too deep.
    TooDeep(String),
    /// It has a model, but the place itself is a model.
    InsideModel(String),
    /// It has a file in ONNX Runtime's ORT format.
    OrtFormat(String),
    /// It has a file of another format; the name and the format.
    OtherFormat(String, &'static str),
    /// It has a configuration, but no ONNX file.
    NoFile(String),
}

impl Reason {
    /// Returns whether there are ONNX files, and only their names are wrong.
    pub(super) fn is_of_names(&self) -> bool {
        matches!(self, Self::NamedFileMissing(_) | Self::SeveralFiles(_) | Self::WrongCase(_))
    }

    /// Returns whether there is a file such as `model.pt`, which somebody seems to want served. The weights of a Hugging
    /// Face repository, `model.safetensors`, are none: its ONNX file is in a folder below.
    fn is_called_a_model(&self) -> bool {
        let Self::OtherFormat(name, _) = self else { return false };
        name.strip_prefix("model.").is_some_and(|format| format != "safetensors")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NamedFileMissing(name) => {
                write!(f, "has no file {name}, which config.toml names as default_model_filename")
            }
            Self::SeveralFiles(names) => {
                let count = if names.len() == 2 { "two".to_owned() } else { names.len().to_string() };
                write!(
                    f,
                    "has {count} ONNX files, {}: call one {MODEL_FILE}, or name it in config.toml \
                     (default_model_filename)",
                    enumerated(names)
                )
            }
            Self::WrongCase(name) => {
                write!(f, "has {name}, whose name must end in .onnx: call it {MODEL_FILE}")
            }
            Self::TooDeep(key) => write!(
                f,
                "has an ONNX file too deep, {key}: expected <model>/<version>/{MODEL_FILE} or <model>/{MODEL_FILE}"
            ),
            Self::InsideModel(above) => {
                write!(f, "is not searched, since the place itself is a model ({above})")
            }
            Self::OrtFormat(name) => {
                write!(
                    f,
                    "has {name}, which is in the ORT format: only ONNX is read, so put the .onnx file there"
                )
            }
            Self::OtherFormat(name, format) => {
                write!(f, "has {name} ({format}), and no ONNX file: export it to ONNX, as {MODEL_FILE}")
            }
            Self::NoFile(name) => {
                write!(f, "has {name}, and no ONNX file: add <version>/{MODEL_FILE}, as 1/{MODEL_FILE}")
            }
        }
    }
}

fn enumerated(names: &[String]) -> String {
    let named = &names[..names.len().min(MOST_NAMED)];
    match (named, names.len() - named.len()) {
        ([first, second], 0) => format!("{first} and {second}"),
        (named, 0) => named.join(", "),
        (named, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// Finds the folders that look like models and are not among `models`.
pub(super) fn find(tree: &Tree<'_>, models: &[FoundModel]) -> Vec<Skipped> {
    let versions = models.iter().flat_map(|model| model.versions.values());
    let versions: BTreeSet<&str> =
        versions.map(|version| version.model.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    let folders: BTreeSet<&str> = models.iter().map(FoundModel::folder).collect();
    let versioned = |path: &[&str]| versions.contains(path.join("/").as_str());
    let whole_place = models.iter().find(|model| model.name.is_none());
    let mut found: BTreeMap<String, Reason> = BTreeMap::new();
    let mut record = |folder: String, reason: Reason| {
        let known = found.entry(folder).or_insert_with(|| reason.clone());
        if reason < *known {
            *known = reason;
        }
    };
    for path in tree.folders.keys() {
        let (Some(reason), false) = (reason(tree, path), versioned(path)) else { continue };
        let is_version = path.last().is_some_and(|name| is_number(name));
        let folder = path.join("/");
        match path.first() {
            None if models.is_empty() || reason.is_of_names() || reason.is_called_a_model() => {
                record(folder, reason);
            }
            Some(name) if whole_place.is_none() && !folders.contains(name) => {
                record(folder, reason);
            }
            // A version that is skipped, of a model that has others.
            Some(_) if is_version && (path.len() == 2) == whole_place.is_none() => record(folder, reason),
            _ => {}
        }
    }
    for key in &tree.deep {
        let Some(name) = key.split('/').next() else { continue };
        let is_free = whole_place.is_none() && !folders.contains(name);
        let reason = if is_onnx(key) {
            Some(Reason::TooDeep((*key).to_owned()))
        } else {
            other_format(std::slice::from_ref(key))
        };
        if let (Some(reason), true) = (reason, is_free) {
            record(name.to_owned(), reason);
        }
    }
    if let Some(version) = whole_place.and_then(|model| model.versions.values().next()) {
        for path in tree.folders.keys().filter(|path| !path.is_empty() && !versioned(path)) {
            if !is_number(path[0]) && tree.version_in(path).is_some() {
                record(path[0].to_owned(), Reason::InsideModel(version.model.clone()));
            }
        }
    }
    // One line for each skipped model, whatever the number of its versions.
    let mut skipped: BTreeMap<String, Skipped> = BTreeMap::new();
    for (folder, reason) in found {
        let passed = Skipped { folder, reason };
        let is_served = whole_place.is_some() || folders.contains(passed.model());
        let key = if is_served { passed.folder.clone() } else { passed.model().to_owned() };
        let known = skipped.entry(key).or_insert_with(|| passed.clone());
        if passed.reason < known.reason {
            *known = passed;
        }
    }
    skipped.into_values().collect()
}

/// Returns why a folder is no version, if its files look like one.
fn reason(tree: &Tree<'_>, path: &[&str]) -> Option<Reason> {
    let files = tree.folders.get(path)?;
    let names = || files.iter().map(|key| file_name(key));
    let onnx: Vec<String> = names().filter(|name| is_onnx(name)).map(str::to_owned).collect();
    if let (Some(name), false) = (tree.file_name(path), onnx.is_empty()) {
        return Some(Reason::NamedFileMissing(name.to_owned()));
    }
    if onnx.len() > 1 {
        return Some(Reason::SeveralFiles(onnx));
    }
    let ends_as = |name: &str, end: &str| name.to_ascii_lowercase().ends_with(end);
    if let Some(name) = names().find(|name| ends_as(name, ".onnx")) {
        return Some(Reason::WrongCase(name.to_owned()));
    }
    if let Some(name) = names().find(|name| ends_as(name, ".ort")) {
        return Some(Reason::OrtFormat(name.to_owned()));
    }
    let configuration = || names().find(|name| [CONFIG_FILE, TRITON_CONFIG_FILE].contains(name));
    other_format(files).or_else(|| Some(Reason::NoFile(configuration()?.to_owned())))
}

/// Finds the first file of another format.
fn other_format(files: &[&str]) -> Option<Reason> {
    files.iter().find_map(|key| {
        let name = file_name(key);
        let is_it = |known: &str| if known.starts_with('.') { name.ends_with(known) } else { name == known };
        let (_, format) = OTHER_FORMATS.iter().find(|(known, _)| is_it(known))?;
        Some(Reason::OtherFormat(name.to_owned(), format))
    })
}

#[cfg(test)]
mod tests {
    use super::super::layout::{FileNames, discover};

    fn lines_with(keys: &[&str], names: &[(&str, &str)]) -> Vec<String> {
        let names: FileNames =
            names.iter().map(|&(folder, name)| (folder.to_owned(), name.to_owned())).collect();
        discover(keys, &names).skipped.iter().map(ToString::to_string).collect()
    }

    fn lines(keys: &[&str]) -> Vec<String> {
        lines_with(keys, &[])
    }

    #[test]
    fn each_folder_that_looks_like_a_model_has_one_line_with_a_reason() {
        for (keys, folder, said) in [
            (
                &["two/1/decoder.onnx", "two/1/encoder.onnx"][..],
                "'two/1'",
                "two ONNX files, decoder.onnx and encoder.onnx: call one model.onnx",
            ),
            (
                &["two/decoder.onnx", "two/encoder.onnx", "two/joiner.onnx"],
                "'two'",
                "3 ONNX files, decoder.onnx, encoder.onnx, joiner.onnx:",
            ),
            (
                &["m/a.onnx", "m/b.onnx", "m/c.onnx", "m/d.onnx", "m/e.onnx"],
                "'m'",
                "a.onnx, b.onnx, c.onnx and 2 more",
            ),
            (&["m/1/a.onnx", "m/1/b.onnx", "m/2/a.onnx", "m/2/b.onnx"], "'m/1'", "default_model_filename"),
            (&["a.onnx", "b.onnx"], "the place itself", "two ONNX files"),
            (&["loud/1/Model.ONNX"], "'loud/1'", "Model.ONNX, whose name must end in .onnx"),
            (&["small/1/model.ort"], "'small/1'", "ORT format"),
            (
                &["program/1/model.py", "program/config.pbtxt"],
                "'program/1'",
                "model.py (a program in Python)",
            ),
            (&["tf/1/model.savedmodel/saved_model.pb"], "'tf'", "saved_model.pb (TensorFlow)"),
            (&["torch/1/model.pt"], "'torch/1'", "model.pt (PyTorch)"),
            (&["model.plan"], "the place itself", "TensorRT"),
            (&["empty/config.toml", "empty/1/weights.bin"], "'empty'", "config.toml, and no ONNX file"),
            (&["only/config.pbtxt"], "'only'", "config.pbtxt, and no ONNX file: add <version>/model.onnx"),
            (&["a/b/c/model.onnx"], "'a'", "too deep, a/b/c/model.onnx"),
            (&["m/1/model.onnx", "model.pt"], "the place itself", "model.pt (PyTorch), and no ONNX file"),
        ] {
            let lines = lines(keys);
            assert!(lines.len() == 1 && lines[0].contains(said), "{keys:?}: {lines:?}");
            assert!(lines[0].contains(folder), "{keys:?}: {lines:?}");
        }
    }

    #[test]
    fn a_file_that_the_configuration_names_and_is_missing_is_reported() {
        let lines = lines_with(&["m/1/model.onnx", "m/2/encoder.onnx"], &[("m", "encoder.onnx")]);
        assert!(lines.len() == 1 && lines[0].contains("'m/1' has no file encoder.onnx"), "{lines:?}");
    }

    #[test]
    fn versions_that_are_skipped_among_others_are_reported() {
        let lines = |keys: &[&str]| lines(keys).join("\n");
        let said = lines(&["m/1/model.onnx", "m/2/a.onnx", "m/2/b.onnx"]);
        assert!(said.starts_with("folder 'm/2' has two ONNX files"), "{said}");
        let said = lines(&["1/model.onnx", "2/model.ort"]);
        assert!(said.starts_with("folder '2' has model.ort"), "{said}");
        let said = lines(&["1/model.onnx", "digits/1/model.onnx"]);
        assert!(said.starts_with("folder 'digits' is not searched"), "{said}");
    }

    #[test]
    fn files_of_models_and_unrelated_files_are_not_reported() {
        for keys in [
            &["m/1/model.onnx", "m/1/encoder.onnx", "m/1/tokenizer.pkl"][..],
            &["m/1/model.onnx", "m/src/model.py", "m/1/assets/x/y.onnx"],
            // The layout of a Hugging Face repository.
            &[
                "config.json",
                "model.safetensors",
                "pytorch_model.bin",
                "onnx/model.onnx",
                "onnx/model_int8.onnx",
            ],
            &["model.onnx", "weights.pt"],
            &["readme.md", "notes/plan.txt", "lost+found/x"],
            &[".git/a/b/c.onnx"],
        ] {
            assert!(lines(keys).is_empty(), "{keys:?}: {:?}", lines(keys));
        }
    }
}
