//! Programs and files of this repository and of its cache.

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

/// What `scripts/setup PART` makes at this place of the cache.
///
/// # Errors
///
/// It is not there.
pub fn cached(part: &str, place: &str) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("DECIMA_CACHE").or_else(|| Some(variable("HOME")?.join(".cache/decima")));
    let path = cache.context("set HOME or DECIMA_CACHE")?.join(place);
    if !path.exists() {
        bail!("{} is missing: scripts/setup {part}", path.display());
    }
    Ok(path)
}

/// A version that stands in `scripts/versions.env`.
///
/// # Errors
///
/// It is not there.
pub fn pinned(name: &str) -> Result<String> {
    let pins = std::fs::read_to_string(root().join("scripts/versions.env"))?;
    let line = pins.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.map(str::to_owned).with_context(|| format!("scripts/versions.env has no {name}"))
}

/// A release build of one of our programs: what `$DECIMA_SERVER` or `$DECIMA_TRAINER` says, or as it is shipped (`make
/// release`), or plain.
///
/// # Errors
///
/// It has not been built.
pub fn built(name: &str) -> Result<PathBuf> {
    let variable = name.to_uppercase().replace('-', "_");
    if let Some(program) = std::env::var_os(&variable).map(PathBuf::from) {
        // of `make`, from the root
        let program = root().join(program);
        ensure!(program.exists(), "${variable}: {} is not there", program.display());
        return Ok(program);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let places = ["guided", "release"].map(|folder| target.join(folder).join(name));
    places.into_iter().find(|program| program.exists()).with_context(|| {
        format!("there is no release build of {name}: make release (decima-server alone), or make build")
    })
}

/// Runs a program to its end and gives what it printed.
///
/// # Errors
///
/// It cannot be started, or does not end well; the error has its last lines.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = || format!("{command:?}").replace('"', "");
    let (shown, output) = (shown(), command.output());
    let output = output.with_context(|| format!("{shown}: cannot be started"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        bail!("{shown}: {}\n{last}", output.status);
    }
    Ok(text)
}

/// Asks again and again until there is an answer.
///
/// # Errors
///
/// There is none in time; the error is that of the last attempt.
#[expect(clippy::disallowed_methods, reason = "there is no runtime here whose thread could be blocked")]
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
