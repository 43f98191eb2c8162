//! Properties of the images: size, labels, user.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use deploy_tests::{
    images,
    podman::{podman, program},
    programs::{root, run},
};
use serde_json::Value;
use tempfile::TempDir;

/// Size of the compressed layers, which a registry stores and a node downloads, in MB (a million bytes).
fn compressed_size(image: &str) -> Result<f64> {
    let folder = TempDir::new()?;
    let place = format!("oci:{}:image", folder.path().display());
    run(program("skopeo")?.args(["copy", "--quiet", &format!("containers-storage:{image}"), &place]))?;
    Ok(size_of(folder.path())? as f64 / 1e6)
}

fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(size)
}

#[test]
fn images_are_small() -> Result<()> {
    for (image, most) in
        [(images::server()?, 50.0), (images::trainer()?, 40.0), (images::trainer_for_katib()?, 40.0)]
    {
        let size = compressed_size(image)?;
        println!("{image}: {size:.1} MB compressed");
        assert!(size <= most, "{image} has {size:.1} MB compressed, more than {most}");
    }
    Ok(())
}

#[test]
fn labels_user_and_entry_point_are_there() -> Result<()> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).context("no version")?;
    for (image, name) in [
        (images::server()?, "decima-server"),
        (images::trainer()?, "decima-trainer"),
        (images::trainer_for_katib()?, "decima-trainer"),
    ] {
        let config: Value =
            serde_json::from_str(&podman(&["inspect", "--format", "{{json .Config}}", image])?)?;
        assert_eq!(config["User"], "65532:65532", "{image}");
        assert_eq!(config["Entrypoint"], serde_json::json!([format!("/usr/local/bin/{name}")]), "{image}");
        let labels: BTreeMap<String, String> = serde_json::from_value(config["Labels"].clone())?;
        let label =
            |key: &str| labels.get(&format!("org.opencontainers.image.{key}")).map_or("", String::as_str);
        assert_eq!(label("title"), name);
        assert_eq!(label("licenses"), "Apache-2.0");
        assert_eq!(label("version"), version.trim_matches('"'));
        assert_eq!((label("revision"), label("source")), (images::REVISION, images::SOURCE));
        assert!(label("description").len() > 20, "{image}: {labels:?}");
    }
    Ok(())
}

#[test]
fn the_shell_is_in_the_image_for_katib_alone() -> Result<()> {
    // Katib wraps the command of a trial in this way.
    let trial = "/usr/local/bin/decima-trainer --version 1>/tmp/metrics.log 2>&1 && echo completed > /tmp/done && cat";
    let shell = |image: &str| {
        let mut command = program("podman")?;
        command.args([
            "run",
            "--rm",
            "--pull=never",
            "--read-only",
            "--network=none",
            "--entrypoint=sh",
            image,
            "-c",
        ]);
        run(command.arg(trial.replace("&& cat", "&& read line </tmp/metrics.log && echo $line")))
    };
    assert!(shell(images::trainer_for_katib()?)?.contains("decima-trainer"));
    for image in [images::trainer()?, images::server()?] {
        let error = shell(image).err().with_context(|| format!("{image} has a shell"))?.to_string();
        assert!(error.contains("executable file") && error.contains("not found"), "{image}: {error}");
    }
    Ok(())
}

#[test]
fn the_debug_file_matches_the_program() -> Result<()> {
    let folder = TempDir::new()?;
    for name in ["decima-server", "decima-trainer"] {
        let program = deploy_tests::programs::built(name)?;
        run(Command::new(root().join("scripts/split-debug")).arg(program).arg(folder.path()))?;
        let sections = |file: &str| {
            run(Command::new("readelf")
                .args(["--sections", "--notes", "--wide"])
                .arg(folder.path().join(file)))
        };
        let (shipped, debug) = (sections(name)?, sections(&format!("{name}.debug"))?);
        assert!(!shipped.contains(".debug_line") && shipped.contains(".gnu_debuglink"), "{shipped}");
        assert!(shipped.contains(".symtab"), "a backtrace would have no function names");
        assert!(debug.contains(".debug_line"), "{debug}");
        let id = |text: &str| text.lines().find(|line| line.contains("Build ID")).map(str::to_owned);
        assert_eq!(id(&shipped), id(&debug));
    }
    Ok(())
}
