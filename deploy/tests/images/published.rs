//! The GitHub workflows that publish the images, and the bills of materials.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use anyhow::{Context, Result};
use deploy_tests::programs::{built, cached, root, run};
use serde_json::Value;

fn workflow(name: &str) -> Result<String> {
    Ok(fs::read_to_string(root().join(".github/workflows").join(name))?)
}

#[test]
fn workflows_are_valid() -> Result<()> {
    run(Command::new(cached("actionlint", "actionlint/actionlint")?).arg("-no-color").current_dir(root()))?;
    Ok(())
}

#[test]
fn the_workflow_of_a_change_runs_the_same_script_as_people() -> Result<()> {
    let text = workflow("ci.yml")?;
    assert!(text.lines().any(|line| line.trim() == "- run: .ci/run"), "{text}");
    // The workflows use the official Rust image of the version that the workspace requires.
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).context("no version")?;
    let image = format!("rust:{}-bookworm", version.trim_matches('"'));
    for name in ["ci.yml", "release.yml"] {
        assert!(workflow(name)?.contains(&image), "{name} does not build with {image}");
    }
    Ok(())
}

#[test]
fn a_release_names_files_and_stages_that_are_there() -> Result<()> {
    let text = workflow("release.yml")?;
    for line in text.lines().filter(|line| line.trim().starts_with("push ") && line.contains("Dockerfile")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let file = fs::read_to_string(root().join("deploy/docker").join(words[1]))?;
        assert!(file.lines().any(|line| line.ends_with(&format!(" AS {}", words[2]))), "{line}");
        for stage in
            ["build", "onnxruntime"].into_iter().filter(|stage| file.contains(&format!("--from={stage}")))
        {
            assert!(
                text.contains(&format!("--build-context {stage}=")),
                "{line}: without --build-context {stage}, the stage would be built again"
            );
        }
    }
    Ok(())
}

/// The crates of a bill of materials, by name and version, with their checksums.
fn crates(bill: &Value) -> Result<BTreeMap<(String, String), Option<String>>> {
    let components = bill["components"].as_array().context("no components")?;
    let of_cargo =
        components.iter().filter(|part| part["purl"].as_str().unwrap_or("").starts_with("pkg:cargo/"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = of_cargo.map(|part| {
        let name = text(&part["name"]).context("no name")?;
        let version = text(&part["version"]).context("no version")?;
        Ok(((name, version), text(&part["hashes"][0]["content"])))
    });
    named.collect()
}

/// The name of a crate's folder at the start of a text.
fn folder(text: &str) -> Option<&str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let name = &text[..text.find(|c| !is_of_name(c)).unwrap_or(text.len())];
    name.contains('-').then_some(name)
}

#[test]
fn bills_of_materials_name_what_is_in_the_programs() -> Result<()> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    for name in ["decima-server", "decima-trainer"] {
        let bill = run(Command::new(root().join("scripts/sbom")).arg(name))?;
        let bill: Value = serde_json::from_str(&bill)?;
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
        assert_eq!(bill["metadata"]["component"]["name"], name);

        let crates = crates(&bill)?;
        assert!(crates.len() > 100, "{name}: only {} crates", crates.len());
        for ((name, version), checksum) in &crates {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            let entry = lock.split("[[package]]").find(|package| package.contains(&entry));
            let entry = entry.with_context(|| format!("{name} {version} is not in the lock file"))?;
            let locked = entry.lines().find_map(|line| line.strip_prefix("checksum = "));
            assert_eq!(checksum.as_deref(), locked.map(|text| text.trim_matches('"')), "{name} {version}");
        }
        // The program contains the source paths of the crates that were compiled into it.
        let program = fs::read(built(name)?)?;
        let program = String::from_utf8_lossy(&program);
        let linked: BTreeSet<&str> = program
            .split("/registry/src/")
            .skip(1)
            .filter_map(|path| folder(path.split('/').nth(1)?))
            .collect();
        assert!(linked.len() > 30, "{name}: {linked:?}");
        let is_named =
            |folder: &str| crates.keys().any(|(name, version)| folder == format!("{name}-{version}"));
        let unnamed: Vec<&&str> = linked.iter().filter(|folder| !is_named(folder)).collect();
        assert!(
            unnamed.is_empty(),
            "{name} has crates that its bill of materials does not name: {unnamed:?}; was it built by itself, with --package?"
        );
    }
    Ok(())
}
