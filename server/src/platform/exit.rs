//! How the process ends: its exit status, and the line that Kubernetes shows for a container that died.

use std::{fs::OpenOptions, io::Write, path::Path, process::ExitCode};

/// The file that Kubernetes reads after a container ended, to show why. It exists only in pods.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// Longest message that Kubernetes keeps, in bytes.
const LONGEST_MESSAGE_BYTES: usize = 4096;

/// Exit status of `decima-server`; the numbers 64 and 70 are those of BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Served, drained and stopped as asked; also after `--help`, `--version` and `--print-config`.
    Drained = 0,
    /// Serving failed for a reason other than settings and models: for example the port is taken, or the drain timeout
    /// cut off requests.
    Failure = 1,
    /// A flag, an environment variable or the configuration file is wrong.
    Usage = 64,
    /// A model, or ONNX Runtime, could not be loaded at start-up.
    Load = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Writes the reason of a fatal error, as one line, to the file at `path` ([`TERMINATION_LOG`]) if that file exists.
/// `KServe` shows the line in the status of the inference service.
///
/// # Errors
/// The file exists and cannot be written.
pub fn report_fatal(path: &Path, reason: &str) -> std::io::Result<()> {
    let mut line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(LONGEST_MESSAGE_BYTES - 1));
    line.push('\n');
    match OpenOptions::new().write(true).truncate(true).open(path) {
        Ok(mut file) => file.write_all(line.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_one_bounded_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("termination-log");
        std::fs::write(&path, "what an earlier run left behind, which is longer").unwrap();
        report_fatal(&path, "model digits:\n  bad file").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "model digits: bad file\n");
        report_fatal(&path, &"é".repeat(5000)).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.len() <= LONGEST_MESSAGE_BYTES && written.ends_with("é\n"));
    }

    #[test]
    fn outside_a_pod_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("termination-log");
        report_fatal(&path, "reason").unwrap();
        assert!(!path.exists());
    }
}
