//! The structure of the code: modules import downward only, and what is fenced in stays fenced in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules of the server, lowest floor first; a module may name those of its own line and above.
const FLOORS: [&[&str]; 11] = [
    &["error", "platform"],
    &["config", "model"],
    &["access", "cli", "executor", "feedback", "request", "telemetry"],
    &["batcher"],
    &["loading"],
    &["repository"],
    &["inference"],
    &["grpc"],
    &["http"],
    &["app"],
    &["main", "lib"],
];

/// The files of the batcher, lowest first; a file may import from those before it only.
const BATCHER: [&str; 19] = [
    "tuning",
    "thread",
    "gather",
    "scatter",
    "queue",
    "request",
    "run_estimate",
    "wait/yield_policy",
    "wait/join_probe",
    "wait/returning_clients",
    "instance",
    "idle_session",
    "lane",
    "lease",
    "watch",
    "run",
    "leader",
    "wait",
    "", // mod.rs
];

/// Crates, and a word, that only these places may name.
const FENCED: [(&str, &[&str]); 6] = [
    ("ort::", &["executor/"]),
    ("axum::", &["http/"]),
    ("tonic::", &["grpc/"]),
    ("prometheus::", &["telemetry/metrics"]),
    ("aws_", &[]),
    ("unsafe", &["platform/process.rs", "executor/strings.rs"]),
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
    let first = |path: String| path.split("::").next().unwrap_or_default().to_owned();
    paths_after("crate::", text).into_iter().map(first).collect()
}

/// The paths that follow `prefix` in a file, alone or in a group. A path that ends in a group is cut there.
fn paths_after(prefix: &str, text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (start, _) in text.match_indices(prefix) {
        let rest = &text[start + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            paths.push(rest[..rest.find(|c| "{;,) \n".contains(c)).unwrap_or(rest.len())].to_owned());
            continue;
        };
        let mut depth = 0;
        let mut path = String::new();
        for c in group.split("};").next().unwrap_or(group).chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => paths.push(std::mem::take(&mut path)),
                c if depth == 0 && !c.is_whitespace() => path.push(c),
                _ => {}
            }
        }
        paths.push(path);
    }
    paths.retain(|path| !path.is_empty());
    paths
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

/// The place of a path within the batcher in [`BATCHER`]: that of its file, or of `mod.rs` for what is defined there.
fn place_in_batcher(path: &[&str]) -> usize {
    let place = |length: usize| {
        let file = path.get(..length)?.join("/");
        BATCHER.iter().position(|known| **known == file)
    };
    place(2).or_else(|| place(1)).or_else(|| place(0)).unwrap()
}

#[test]
fn files_of_the_batcher_import_in_one_direction_only() {
    let folder = root().join("server/src/batcher");
    for file in rust_files(&folder) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().ends_with("tests.rs")) {
            continue; // a test may look down from anywhere
        }
        let relative = file.strip_prefix(&folder).unwrap().with_extension("");
        let mut own: Vec<_> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        if own.last() == Some(&"mod") {
            own.pop();
        }
        let place = BATCHER.iter().position(|known| *known == own.join("/"));
        let place = place.unwrap_or_else(|| panic!("{}: give it a place in BATCHER", file.display()));
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let above = own.split_last().map_or(&[][..], |(_, above)| above);
        let bases = [("super::", above), ("crate::", &[]), ("self::", &own)];
        for (prefix, base) in bases {
            for import in paths_after(prefix, code) {
                let mut path: Vec<_> = base.iter().copied().chain(import.split("::")).collect();
                if prefix == "crate::" && (path.remove(0) != "batcher" || path.is_empty()) {
                    continue; // another module, or the visibility `pub(in crate::batcher)`
                }
                let imported = place_in_batcher(&path);
                assert!(
                    imported < place || (prefix == "self::" && imported == place),
                    "{}: must not import '{prefix}{import}', which is not below it",
                    file.display()
                );
            }
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
    for member in [
        "cli-pages",
        "server",
        "server/pictures",
        "server/protocol",
        "server/storage",
        "trainer",
        "benches",
        "loadtest",
    ] {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}/Cargo.toml has no lints");
    }
}
