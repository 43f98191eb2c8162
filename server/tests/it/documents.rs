//! What the documents say of themselves: their links lead somewhere, and their figures are those that were measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const BEGIN: &str = "<!-- performance table -->";
const END: &str = "<!-- end of performance table -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every document of the repository.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = !name.to_string_lossy().starts_with('.') && name != "target" && name != "node_modules";
        if path.is_dir() && is_ours {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of the links in a text, but for those of other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
}

/// The name that a heading has in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents(&root());
    assert!(documents.len() > 5, "there are more documents than {documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: nothing is at {link}", document.display());
            if !heading.is_empty() {
                let target = fs::read_to_string(&target).unwrap();
                let is_there = target.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
                    || target.contains(&format!("<a id=\"{heading}\">"));
                assert!(is_there, "{}: there is no heading for {link}", document.display());
            }
        }
    }
}

fn performance_table(arguments: &[&Path]) -> Output {
    Command::new("python3").arg(root().join("scripts/performance-table")).args(arguments).output().unwrap()
}

#[test]
fn the_table_of_performance_is_what_was_measured() {
    let output = performance_table(&[Path::new("--check")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_measurement_becomes_the_table_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (document, measured) = (folder.path().join("page.md"), folder.path().join("bench.json"));
    let json = r#"{
        "about": "A machine; commit abc.", "date": "2026-01-02", "ready_ms": 44.6, "resident_mib": 37.2,
        "rows": [{
            "row": "small gRPC, 1 connection", "limit_us": 100.0, "server_us": 125.04, "ratio": 1.2504,
            "goal_ratio": 1.2, "goal_us": null, "met": false, "requests_per_second": 3640.4,
            "p50_ms": null, "p99_ms": null, "batch_rows": 1.0
        }]
    }"#;
    fs::write(&measured, json).unwrap();
    fs::write(&document, format!("above\n\n{BEGIN}\nold\n{END}\n\nbelow\n")).unwrap();
    let output = performance_table(&[&measured, Path::new("--document"), &document]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&document).unwrap();
    assert!(text.starts_with(&format!("above\n\n{BEGIN}\n")) && text.ends_with(&format!("{END}\n\nbelow\n")));
    assert!(text.contains("Measured on 2026-01-02: A machine; commit abc.") && !text.contains("old"));
    let row = "| small gRPC, 1 connection | 100.0 | 125.0 | 1.25 | ≤ 1.20 | no | 3640 | - | - | 1.0 |";
    assert!(text.contains(row), "{text}");

    fs::write(&document, "no markers").unwrap();
    let output = performance_table(&[&measured, Path::new("--document"), &document]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(BEGIN));
}
