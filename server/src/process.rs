//! The process itself: what it asks of the system and of its libraries before it serves.

use std::{env, io, os::unix::process::CommandExt as _, process::Command};

/// What libraries read from the environment before any code of ours runs, as this server wants it.
const READ_AT_LOAD: [(&str, &str); 2] = [
    // ONNX Runtime's builds for Linux report to their makers otherwise: a thread, a database in the home
    // directory and 2 MiB of memory, which are there before a program can tell it not to.
    ("ORT_DISABLE_TELEMETRY", "1"),
    // glibc, which ONNX Runtime alone uses, keeps 2 MiB that loading a model has freed.
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// Starts the program anew in the same process, with the variables that its libraries read when they are
/// loaded. Returns where they are set already, to this or to something else.
///
/// # Errors
/// The system does not say where the program is, or does not start it; it can go on without.
pub fn settle_environment() -> io::Result<()> {
    let missing = READ_AT_LOAD.iter().filter(|(name, _)| env::var_os(name).is_none());
    let mut missing = missing.peekable();
    if missing.peek().is_none() {
        return Ok(());
    }
    let mut args = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    Err(command.args(args).envs(missing.copied()).exec())
}

/// A page of 2 MiB for a few small buffers of each thread is most of what an idle server would occupy.
#[cfg(target_os = "linux")]
pub fn huge_pages_off() {
    let _kernel_without_them = rustix::thread::disable_transparent_huge_pages(true);
}
