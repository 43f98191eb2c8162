//! Containers, run by Podman and removed in the end.

use std::process::Command;

use anyhow::{Context, Result};

use crate::programs::{cached, run};

/// What every container of ours has to do with: any UID, no rights, nothing to write to but `/tmp`, little of the machine.
pub const CONFINED: [&str; 15] = [
    "--read-only",
    // otherwise Podman gives more places to write to than a cluster does
    "--read-only-tmpfs=false",
    "--tmpfs",
    "/tmp",
    "--user",
    "1000770000:0", // as OpenShift numbers them
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

/// A program that works on images or containers (`podman`, `buildah`), with the settings of `scripts/setup podman`.
///
/// # Errors
///
/// The settings have not been made.
pub fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(name);
    command.env("CONTAINERS_CONF", cached("podman", "podman/containers.conf")?);
    Ok(command)
}

/// Runs `podman` to its end and gives what it printed.
///
/// # Errors
///
/// It does not end well.
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
    /// Starts `podman run --detach ARGS...`: options, the image, and its command.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start<S: AsRef<str>>(args: &[S]) -> Result<Self> {
        let args = args.iter().map(AsRef::as_ref);
        let run: Vec<&str> = ["run", "--detach"].into_iter().chain(args).collect();
        Ok(Self { id: podman(&run)? })
    }

    /// The address on this machine of a port that was published.
    ///
    /// # Errors
    ///
    /// It is not published, or the container has ended; the error has what it said.
    pub fn address(&self, port: u16) -> Result<String> {
        podman(&["port", &self.id, &port.to_string()]).with_context(|| self.logs())
    }

    /// Its network, for `--network` of another container: the two are to each other as containers of one pod.
    pub fn network(&self) -> String {
        format!("container:{}", self.id)
    }

    /// What Podman says of it, by a template of Go's.
    ///
    /// # Errors
    ///
    /// Podman does not know it.
    pub fn inspect(&self, template: &str) -> Result<String> {
        podman(&["inspect", "--format", template, &self.id])
    }

    /// What it has printed.
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

    /// Stops it as a cluster does, and gives its exit status.
    ///
    /// # Errors
    ///
    /// Podman cannot say.
    pub fn stop(&self) -> Result<String> {
        podman(&["stop", "--time", "10", &self.id])?;
        self.inspect("{{.State.ExitCode}}")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Nothing is left to do where it fails: the next line of the test says what is wrong.
        let _ = podman(&["rm", "--force", "--volumes", "--time", "0", &self.id]);
    }
}
