//! Runs the images with the restrictions of a cluster.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use deploy_tests::{
    images,
    podman::{CONFINED, Container, podman},
    programs::{root, wait_for},
};
use serde_json::Value;
use tempfile::TempDir;

/// Starts the server with a folder of models, and waits until it is ready. Returns the container and its address.
fn serve(models: &Path) -> Result<(Container, String)> {
    let mount = format!("{}:/models:ro", fs::canonicalize(models)?.display());
    let mut args = CONFINED.to_vec();
    args.extend(["--publish", "127.0.0.1::8080", "--volume", &mount, images::server()?]);
    let server = Container::start(&args)?;
    let address = server.address(8080)?;
    let url = format!("http://{address}");
    let ready = || Ok(ureq::get(format!("{url}/v2/health/ready")).call()?);
    wait_for("decima-server", 30, ready).with_context(|| server.logs())?;
    Ok((server, url))
}

/// Sends the example of `models/digits`, a seven, and returns the ten probabilities.
fn recognise_seven(url: &str) -> Result<Vec<f64>> {
    let example = fs::read_to_string(root().join("models/digits/example.json"))?;
    let mut answer = ureq::post(format!("{url}/v2/models/digits/infer")).send(example)?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    let probabilities: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone())?;
    let sum: f64 = probabilities.iter().sum();
    ensure!(probabilities.len() == 10 && (sum - 1.0).abs() < 1e-3, "{probabilities:?}");
    Ok(probabilities)
}

/// A field in `/proc/PID/status`.
fn status<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim)
}

#[test]
fn the_server_recognises_a_digit_and_stops_cleanly() -> Result<()> {
    let (server, url) = serve(&root().join("models"))?;
    let probabilities = recognise_seven(&url)?;
    assert!(probabilities[7] > 0.9, "{probabilities:?}");

    let process = server.inspect("{{.State.Pid}}")?;
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    assert!(status(&text, "Uid:").starts_with("1000770000"), "{text}");
    assert_eq!(status(&text, "CapEff:").trim_matches('0'), "", "the process has capabilities");
    assert_eq!(status(&text, "CapBnd:").trim_matches('0'), "", "the process could gain capabilities");
    assert_eq!(
        (status(&text, "Seccomp:"), status(&text, "NoNewPrivs:")),
        ("2", "1"),
        "system calls are not filtered"
    );
    assert_eq!(server.inspect("{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}}")?, "true 536870912");

    assert_eq!(server.stop()?, "0", "{}", server.logs());
    assert!(server.logs().contains("\"message\":\"drained\""), "{}", server.logs());
    Ok(())
}

/// Runs one step of the trainer. The steps share the folder `/work`.
fn step(work: &Path, args: &[&str]) -> Result<String> {
    let mount = format!("{}:/work", work.display());
    let image = images::trainer()?;
    let fixed = ["run", "--rm", "--network=none", "--volume", &mount, "--workdir", "/work"];
    let command: Vec<&str> =
        fixed.into_iter().chain(CONFINED).chain([image]).chain(args.iter().copied()).collect();
    podman(&command)
}

#[test]
fn the_trainer_does_every_step_and_the_server_serves_the_result() -> Result<()> {
    let folder = TempDir::new()?;
    // The container's user is unknown on this machine, so that everybody must be able to write.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let step = |args: &[&str]| step(folder.path(), args);
    step(&["synth", "--train", "2000", "--test", "300", "--out", "drawn"])?;
    step(&["prepare", "--data", "drawn", "--out", "data"])?;
    step(&["train", "--data", "data", "--epochs", "1", "--out", "out"])?;
    step(&["evaluate", "--data", "data"])?;
    step(&["export"])?;
    step(&["publish", "--to", "models/digits"])?;

    let metrics: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("out/metrics.json"))?)?;
    let accuracy = metrics["test"]["accuracy"].as_f64().context("metrics.json has no accuracy")?;
    assert!(accuracy > 0.5, "the accuracy after one epoch is only {accuracy}");
    assert!(folder.path().join("out/report.html").exists());

    let (_server, url) = serve(&folder.path().join("models"))?;
    recognise_seven(&url)?;
    Ok(())
}

#[test]
fn only_tmp_can_be_written_to() -> Result<()> {
    let refused = |args: &[&str]| -> Result<String> {
        let image = images::trainer()?;
        let command: Vec<&str> = ["run", "--rm", "--network=none"]
            .into_iter()
            .chain(CONFINED)
            .chain([image])
            .chain(args.iter().copied())
            .collect();
        Ok(podman(&command).err().context("it was not refused")?.to_string())
    };
    let error = refused(&["synth", "--train", "10", "--test", "10", "--out", "/elsewhere"])?;
    assert!(error.contains("/elsewhere") && error.contains("Read-only file system"), "{error}");
    // The default output folder, `synth`, is relative to the working directory, which is /tmp.
    let image = images::trainer()?;
    let here: Vec<&str> =
        ["run", "--rm"].into_iter().chain(CONFINED).chain([image, "synth", "--train", "10"]).collect();
    podman(&here)?;
    Ok(())
}
