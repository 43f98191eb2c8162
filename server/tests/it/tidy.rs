//! The structure of the code: modules import downward only, and what is fenced in stays fenced in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules of the server, lowest floor first; a module may name those of its own line and above.
const FLOORS: [&[&str]; 10] = [
    &["error", "cpu_budget", "exit", "ort_library", "process", "workers"],
    &["config", "model"],
    &["classify", "cli", "feedback", "schedule", "telemetry", "validate", "preprocess", "executor"],
    &["batcher"],
    &["repository"],
    &["data_plane"],
    &["grpc"],
    &["http"],
    &["app"],
    &["main", "lib"],
];

/// Crates, and a word, that only these places may name.
const FENCED: [(&str, &[&str]); 6] = [
    ("ort::", &["executor/"]),
    ("axum::", &["http/"]),
    ("tonic::", &["grpc/"]),
    ("prometheus::", &["telemetry/metrics"]),
    ("aws_", &[]),
    ("unsafe", &["process.rs", "executor/strings.rs"]),
];

/// Longer files hide things.
const LONGEST_FILE: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir()
            && name != "target"
            && name != "generated"
            && !name.to_string_lossy().starts_with('.')
        {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn floor_of(module: &str) -> usize {
    let floor = FLOORS.iter().position(|modules| modules.contains(&module));
    floor.unwrap_or_else(|| panic!("module '{module}' has no floor: give it one in FLOORS"))
}

/// The modules that a file names as `crate::x`, alone or in a group.
fn imports(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        let group = rest.strip_prefix('{');
        let end = if group.is_some() { "}\n;" } else { "::;,) \n" };
        let text = group.unwrap_or(rest);
        let items = if group.is_some() {
            text.split("};").next().unwrap_or(text)
        } else {
            &text[..text.find(|c| end.contains(c)).unwrap_or(text.len())]
        };
        let mut depth = 0;
        let mut word = String::new();
        let mut words = Vec::new();
        for c in items.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => words.push(std::mem::take(&mut word)),
                c if depth == 0 => word.push(c),
                _ => {}
            }
        }
        words.push(word);
        let name = |word: String| word.trim().split("::").next().unwrap_or_default().trim().to_owned();
        modules.extend(words.into_iter().map(name).filter(|name| !name.is_empty()));
    }
    modules
}

#[test]
fn modules_import_downward_only() {
    let sources = root().join("server/src");
    for file in rust_files(&sources) {
        if file.ends_with("tests.rs") {
            continue; // a test may look down from anywhere
        }
        let relative = file.strip_prefix(&sources).unwrap().with_extension("");
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for import in imports(&text).iter().filter(|import| FLOORS.concat().contains(&import.as_str())) {
            assert!(
                floor_of(import) <= floor_of(&module),
                "{}: '{module}' must not import '{import}', which is above it",
                file.display()
            );
        }
    }
}

#[test]
fn what_is_fenced_in_is_named_nowhere_else() {
    let sources = root().join("server/src");
    for file in rust_files(&sources) {
        let relative = file.strip_prefix(&sources).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for (name, homes) in FENCED {
            let named = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or(line);
                code.match_indices(name).any(|(at, _)| {
                    !code[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                })
            });
            assert!(!named || homes.iter().any(|home| relative.starts_with(home)), "{relative} names {name}");
        }
    }
}

#[test]
fn files_are_short_and_every_crate_has_the_workspace_s_lints() {
    for file in rust_files(&root()) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines, at most {LONGEST_FILE}", file.display());
    }
    for member in
        ["server", "server/pictures", "server/protocol", "server/storage", "trainer", "benches", "loadtest"]
    {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}/Cargo.toml has no lints");
    }
}
