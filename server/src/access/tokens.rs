//! Bearer tokens from a file. Only their digests are kept, and a token is compared with all of them in constant time.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::AccessError;

/// Largest file in bytes. A token has tens of bytes.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// Shortest token. Shorter ones can be guessed by trying.
const SHORTEST: usize = 16;

type Hash = [u8; 32];

/// The tokens of a file.
#[derive(Debug)]
pub(super) struct Tokens {
    setting: &'static str,
    path: PathBuf,
    hashes: ArcSwap<Vec<Hash>>,
}

impl Tokens {
    /// Reads a file: one token a line. Empty lines and lines that start with `#` are skipped.
    pub(super) fn open(setting: &'static str, path: &Path) -> Result<Self, AccessError> {
        let hashes = ArcSwap::from_pointee(read(setting, path)?);
        Ok(Self { setting, path: path.to_owned(), hashes })
    }

    /// Reads the file again. Returns whether its tokens are others now. After an error, the former ones stay.
    pub(super) fn reload(&self) -> Result<bool, AccessError> {
        let hashes = read(self.setting, &self.path)?;
        let changed = **self.hashes.load() != hashes;
        if changed {
            self.hashes.store(hashes.into());
        }
        Ok(changed)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this is one of the tokens. It takes as long for a wrong one as for a right one.
    pub(super) fn contain(&self, token: &[u8]) -> bool {
        let hash = hash(token);
        let any = |found: Choice, known: &Hash| found | known[..].ct_eq(&hash[..]);
        self.hashes.load().iter().fold(Choice::from(0), any).into()
    }
}

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<Hash>, AccessError> {
    let wrong = |reason: String| AccessError { setting, path: path.to_owned(), reason };
    let bytes = read_bounded(path).map_err(wrong)?;
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut hashes = Vec::new();
    for (index, token) in lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#")) {
        // What a header can carry (RFC 6750, 2.1), more or less: the rest would never match.
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(wrong(format!("line {} has a space or a character that is not ASCII", index + 1)));
        }
        if token.len() < SHORTEST {
            return Err(wrong(format!(
                "the token in line {} is shorter than {SHORTEST} characters",
                index + 1
            )));
        }
        hashes.push(hash(token));
    }
    if hashes.is_empty() {
        return Err(wrong("the file has no token: write one a line".into()));
    }
    Ok(hashes)
}

/// Reads a file of a size that keys and tokens have. The error is the reason alone.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("the file is larger than 1 MiB".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-of-the-tokens";
    const SECOND: &str = "second-of-the-tokens";

    #[test]
    fn tokens_are_lines_and_change_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, format!("# the old one\n{FIRST}\r\n\n  {SECOND}  ")).unwrap();
        let tokens = Tokens::open("--token-file", &path).unwrap();
        let has = |token: &str| tokens.contain(token.as_bytes());
        assert!(has(FIRST) && has(SECOND));
        for wrong in ["", "#", "first-of-the-token", "first-of-the-tokens ", "# the old one"] {
            assert!(!has(wrong), "{wrong}");
        }
        assert_eq!(tokens.reload(), Ok(false));
        std::fs::write(&path, SECOND).unwrap();
        assert_eq!(tokens.reload(), Ok(true));
        assert!(!has(FIRST) && has(SECOND));
        std::fs::write(&path, "").unwrap();
        assert!(tokens.reload().unwrap_err().reason.contains("no token"));
        assert!(has(SECOND), "what cannot be read takes nothing away");
        assert!(!format!("{tokens:?}").contains(SECOND));
    }

    #[test]
    fn an_error_names_the_file_and_the_line_and_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        for (text, expected) in [
            ("\n# nobody\n", "has no token"),
            ("\nthis one has spaces in it", "line 2 has a space"),
            ("too-short", "line 1 is shorter than 16"),
            (&"a".repeat(1 << 21), "larger than 1 MiB"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Tokens::open("--token-file", &path).unwrap_err().to_string();
            assert!(error.starts_with("--token-file: ") && error.contains(expected), "{error}");
            assert!(error.contains(path.to_str().unwrap()) && !error.contains("too-short"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Tokens::open("--token-file", &path).unwrap_err().reason.contains("No such file"));
    }
}
