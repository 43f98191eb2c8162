//! Finds programs and files of this repository and of its cache, and runs programs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file or folder in the cache, which `scripts/setup PART` creates.
///
/// # Errors
///
/// It is missing.
pub fn cached(part: &str, place: &str) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("DECIMA_CACHE").or_else(|| Some(variable("HOME")?.join(".cache/decima")));
    let path = cache.context("set HOME or DECIMA_CACHE")?.join(place);
    if !path.exists() {
        bail!("{} is missing: scripts/setup {part}", path.display());
    }
    Ok(path)
}

/// A pinned version in `scripts/versions.env`.
///
/// # Errors
///
/// The file has no such version.
pub fn pinned(name: &str) -> Result<String> {
    let pins = std::fs::read_to_string(root().join("scripts/versions.env"))?;
    let line = pins.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.map(str::to_owned).with_context(|| format!("scripts/versions.env has no {name}"))
}

/// Path of a release build of one of our programs: the value of `$DECIMA_SERVER` or `$DECIMA_TRAINER`, else the shipped
/// build (`make release`), else the plain release build.
///
/// # Errors
///
/// None of them exists.
pub fn built(name: &str) -> Result<PathBuf> {
    let variable = name.to_uppercase().replace('-', "_");
    if let Some(program) = std::env::var_os(&variable).map(PathBuf::from) {
        // `make` sets a path relative to the root.
        let program = root().join(program);
        ensure!(program.exists(), "${variable}: {} does not exist", program.display());
        return Ok(program);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let places = ["guided", "release"].map(|folder| target.join(folder).join(name));
    places.into_iter().find(|program| program.exists()).with_context(|| {
        format!("there is no release build of {name}: make release (decima-server alone), or make build")
    })
}

/// Runs a program to its end, and returns its output.
///
/// # Errors
///
/// It cannot be started, or it fails. The error contains its last lines.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = || format!("{command:?}").replace('"', "");
    let (shown, output) = (shown(), command.output());
    let output = output.with_context(|| format!("cannot start {shown}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        bail!("{shown}: {}\n{last}", output.status);
    }
    Ok(text)
}

/// Calls `ask` repeatedly until it succeeds.
///
/// # Errors
///
/// It did not succeed in time. The error is that of the last attempt.
#[expect(clippy::disallowed_methods, reason = "called outside any async runtime, so that blocking is fine")]
pub fn wait_for<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > end => {
                return Err(anyhow!("{what}: not within {seconds} s: {error:#}"));
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}
