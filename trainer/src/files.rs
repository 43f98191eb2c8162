//! Files that are written atomically: a reader finds the whole file or none.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Writes `content` to `path` atomically, and creates the folder if it is missing.
///
/// The content goes to a hidden temporary file in the same folder, which is then renamed. A reader, or a run after a
/// crash, therefore finds either the old file or the new one.
///
/// # Errors
/// When the folder cannot be created or written to.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".decima-").tempfile_in(folder)?;
        file.write_all(content)?;
        let permissions = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a whole file.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a whole file that another command makes, and names that command where the file is missing.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn read_made_by(command: &str, path: &Path) -> Result<Vec<u8>> {
    ensure!(path.exists(), "there is no {}: `decima-trainer {command}` writes it", path.display());
    read(path)
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    format!("{:x}", Bytes::copy_from_slice(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_the_command_that_makes_it() {
        let error = read_made_by("train", Path::new("nowhere/weights")).unwrap_err().to_string();
        assert_eq!(error, "there is no nowhere/weights: `decima-trainer train` writes it");
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("new/model.onnx");
        write(&path, b"one")?;
        write(&path, b"two")?;
        assert_eq!(read(&path)?, b"two");
        assert_eq!(fs::read_dir(folder.path().join("new"))?.count(), 1);
        Ok(())
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write(Path::new("/proc/no/model.onnx"), b"").unwrap_err();
        assert_eq!(error.to_string(), "cannot write /proc/no/model.onnx");
    }
}
