//! Tests what `make install` puts on a machine: programs that run without the clone, manual pages and completions.
#![expect(clippy::unwrap_used, reason = "a test can do nothing about errors but stop")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

const PROGRAMS: [&str; 3] = ["decima-server", "decima-trainer", "decima-loadtest"];
const PREFIX: &str = "/opt/decima";

/// A folder in which the programs are installed, instead of the root of the file system.
struct Installed(TempDir);

impl Installed {
    fn new() -> Self {
        let installed = Self(TempDir::new().unwrap());
        installed.make("install");
        installed
    }

    fn make(&self, target: &str) {
        let built = Path::new(env!("CARGO_BIN_EXE_decima-loadtest")).parent().unwrap();
        for program in PROGRAMS {
            assert!(built.join(program).is_file(), "{program} is missing: cargo build -p {program}");
        }
        let output = Command::new("make")
            .args([target, &format!("PREFIX={PREFIX}"), &format!("DESTDIR={}", self.0.path().display())])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .env("PROGRAMS", built)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", shown(&output));
    }

    fn path(&self, key: &str) -> PathBuf {
        self.0.path().join(PREFIX.trim_start_matches('/')).join(key)
    }

    fn text(&self, key: &str) -> String {
        fs::read_to_string(self.path(key)).unwrap()
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn programs_pages_and_completions_are_installed_and_removed() {
    let installed = Installed::new();
    for program in PROGRAMS {
        let output = Command::new(installed.path("bin").join(program)).arg("--version").output().unwrap();
        assert!(shown(&output).starts_with(&format!("{program} ")), "{}", shown(&output));
        let manual = installed.text(&format!("share/man/man1/{program}.1"));
        assert!(manual.contains(".TH") && manual.contains(".SH OPTIONS"), "{manual}");
        for page in [
            format!("bash-completion/completions/{program}"),
            format!("zsh/site-functions/_{program}"),
            format!("fish/vendor_completions.d/{program}.fish"),
        ] {
            let text = installed.text(&format!("share/{page}"));
            assert!(text.contains("version"), "{page}: {text}");
        }
    }
    let trainer = installed.text("share/man/man1/decima-trainer.1");
    assert!(trainer.contains("DECIMA\\-TRAINER PUBLISH"), "each command has a section");

    // The library is found where it was installed, with no home folder and no variable that names it.
    let models = TempDir::new().unwrap();
    let output = Command::new(installed.path("bin/decima-server"))
        .args(["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--model-repository"])
        .arg(models.path())
        .env_clear()
        .output()
        .unwrap();
    assert!(shown(&output).contains("no model found"), "{}", shown(&output));

    installed.make("uninstall");
    assert_eq!(files(installed.0.path()), Vec::<PathBuf>::new());
}

#[test]
fn bash_completes_a_flag() {
    let installed = Installed::new();
    let script = format!(
        "source {}; completer=$(complete -p decima-server | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
         COMP_WORDS=(decima-server --http-p); COMP_CWORD=1; \
         $completer decima-server --http-p decima-server; echo ${{COMPREPLY[*]}}",
        installed.path("share/bash-completion/completions/decima-server").display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(shown(&output).trim(), "--http-port");
}
