//! Runs containers with Podman, and removes them at the end.

use std::process::Command;

use anyhow::{Context, Result};

use crate::programs::{cached, run};

/// The restrictions under which our containers must work: an arbitrary UID, no capabilities, a read-only file system
/// except for `/tmp`, limited memory and CPU.
pub const CONFINED: [&str; 15] = [
    "--read-only",
    // Without this, Podman makes more folders writable than a cluster does.
    "--read-only-tmpfs=false",
    "--tmpfs",
    "/tmp",
    "--user",
    "1000770000:0", // A user ID from OpenShift's range.
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
    "--memory",
    "512m",
    "--cpus",
    "1",
    "--pull=never",
];

/// A command of a container tool (`podman`, `buildah`), with the settings made by `scripts/setup podman`.
///
/// # Errors
///
/// The settings are missing.
pub fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(name);
    command.env("CONTAINERS_CONF", cached("podman", "podman/containers.conf")?);
    Ok(command)
}

/// Runs `podman` to its end, and returns its output.
///
/// # Errors
///
/// It fails.
pub fn podman<S: AsRef<str>>(args: &[S]) -> Result<String> {
    let text = run(program("podman")?.args(args.iter().map(AsRef::as_ref)))?;
    Ok(text.trim().to_owned())
}

/// A container that runs until this is dropped.
#[derive(Debug)]
pub struct Container {
    id: String,
}

impl Container {
    /// Starts `podman run --detach ARGS...`. The arguments are options, the image, and its command.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start<S: AsRef<str>>(args: &[S]) -> Result<Self> {
        let args = args.iter().map(AsRef::as_ref);
        let run: Vec<&str> = ["run", "--detach"].into_iter().chain(args).collect();
        Ok(Self { id: podman(&run)? })
    }

    /// The local address of a published port.
    ///
    /// # Errors
    ///
    /// The port is not published, or the container has ended. The error contains the container's log.
    pub fn address(&self, port: u16) -> Result<String> {
        podman(&["port", &self.id, &port.to_string()]).with_context(|| self.logs())
    }

    /// The container's network, for `--network` of another container: the two are to each other as containers of one pod.
    pub fn network(&self) -> String {
        format!("container:{}", self.id)
    }

    /// The output of `podman inspect` with a Go template.
    ///
    /// # Errors
    ///
    /// The container does not exist.
    pub fn inspect(&self, template: &str) -> Result<String> {
        podman(&["inspect", "--format", template, &self.id])
    }

    /// The container's log.
    pub fn logs(&self) -> String {
        let output = program("podman").and_then(|mut podman| Ok(podman.args(["logs", &self.id]).output()?));
        output.map_or_else(
            |error| error.to_string(),
            |output| {
                [output.stdout, output.stderr]
                    .map(|text| String::from_utf8_lossy(&text).into_owned())
                    .concat()
            },
        )
    }

    /// Stops the container as a cluster does, and returns its exit code.
    ///
    /// # Errors
    ///
    /// The container does not exist.
    pub fn stop(&self) -> Result<String> {
        podman(&["stop", "--time", "10", &self.id])?;
        self.inspect("{{.State.ExitCode}}")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // There is nothing to do if it fails.
        let _ = podman(&["rm", "--force", "--volumes", "--time", "0", &self.id]);
    }
}
