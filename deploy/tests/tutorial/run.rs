//! Commands of the pages that need no cluster, run as they stand.

use std::{
    fmt::Write as _,
    fs,
    fs::File,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use deploy_tests::{
    programs::{built, root, wait_for},
    store::free_ports,
};
use tempfile::TempDir;

use crate::blocks::{Block, ENGLISH, Kind, blocks, pages};

/// What a clone of the repository has in it, as far as a reader uses it.
const CLONED: [&str; 6] = ["Makefile", "deploy", "docs", "models", "scripts", "README.md"];
/// Longest time for the commands of a page, in seconds.
const PATIENCE: u64 = 300;
/// Printed before what a block prints; its number follows.
const MARK: &str = "=== block of line ";

/// A clone after `cargo build --release`.
struct Checkout {
    folder: TempDir,
    port: u16,
}

impl Checkout {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in CLONED {
            symlink(root().join(name).canonicalize().unwrap(), folder.path().join(name)).unwrap();
        }
        let programs = folder.path().join("target/release");
        fs::create_dir_all(&programs).unwrap();
        for name in ["decima-server", "decima-trainer"] {
            symlink(built(name).unwrap().canonicalize().unwrap(), programs.join(name)).unwrap();
        }
        let [port] = free_ports().unwrap();
        Self { folder, port }
    }

    /// The pages have the server's usual port, and the usual cache.
    fn adapted(&self, text: &str) -> String {
        let text = text.replace(":8080", &format!(":{}", self.port));
        match std::env::var("DECIMA_CACHE") {
            Ok(cache) if !cache.is_empty() => text.replace("~/.cache/decima", &cache),
            _ => text,
        }
    }

    /// Runs the blocks of a page in one shell, as a reader does; gives what each printed.
    fn run(&self, page: &Path, blocks: &[Block]) -> String {
        let mut script = String::from("set -o pipefail\n");
        for block in blocks.iter().filter(|block| block.kind.is_run()) {
            let (line, text) = (block.line, self.adapted(&block.text));
            writeln!(script, "echo '{MARK}{line}'").unwrap();
            match block.kind {
                Kind::Fails => {
                    writeln!(script, "if (\n{text}); then echo 'did not fail'; exit 1; fi").unwrap();
                }
                _ => writeln!(script, "set -e\n{text}\nset +e").unwrap(),
            }
        }
        let (name, log) = (page.display(), self.path("log"));
        fs::write(self.path("script"), script).unwrap();
        let output = File::create(&log).unwrap();
        let mut shell = Command::new("bash");
        shell.arg("script").current_dir(self.folder.path()).env("DECIMA_HTTP_PORT", self.port.to_string());
        shell.envs([("DECIMA_HOST", "127.0.0.1"), ("DECIMA_GRPC_PORT", "0"), ("NO_COLOR", "1")]);
        // A page that does not say where the programs are is read after one that does.
        if !blocks.iter().any(|block| block.text.contains("export PATH=")) {
            let programs = self.path("target/release").display().to_string();
            shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
        }
        shell.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut group = Group(shell.process_group(0).spawn().unwrap());
        let printed = || fs::read_to_string(&log).unwrap_or_default();
        let status = wait_for(&format!("the commands of {name}"), PATIENCE, || {
            group.0.try_wait()?.with_context(|| format!("still at {}", last_mark(&printed())))
        });
        let status = status.unwrap_or_else(|error| panic!("{error:#}\n{}", printed()));
        assert!(status.success(), "{name}: {status} in {}\n{}", last_mark(&printed()), printed());
        printed()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A shell, and all that it has started.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        // Nothing may be left of it, which is an error to `kill`.
        let _ended = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _reaped = self.0.wait();
    }
}

fn last_mark(printed: &str) -> &str {
    printed.lines().rev().find(|line| line.starts_with(MARK)).unwrap_or("no block")
}

/// What the block of a line printed.
fn printed_by(printed: &str, line: usize) -> Option<&str> {
    let (_, rest) = printed.split_once(&format!("{MARK}{line}\n"))?;
    Some(rest.split(MARK).next().unwrap_or_default())
}

/// Whether every line of `expected` is in what was printed, in this order; `…` is anything.
fn is_printed(expected: &str, printed: &str) -> anyhow::Result<()> {
    let mut lines = printed.lines();
    for wanted in expected.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "…") {
        let found = lines.any(|line| matches(wanted, line.trim()));
        ensure!(found, "no line `{wanted}` in:\n{printed}");
    }
    Ok(())
}

fn matches(wanted: &str, line: &str) -> bool {
    let parts: Vec<&str> = wanted.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return wanted == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn an_expected_line_may_leave_parts_open() {
    assert!(matches("a … c", "a b c") && matches("…c", "abc") && matches("abc", "abc"));
    assert!(!matches("a … c", "a b") && !matches("abc", "abcd") && !matches("a…b…a", "a b"));
    assert!(is_printed("1\n…\n3", "1\n2\n3\n").is_ok() && is_printed("3\n1", "1\n2\n3\n").is_err());
}

#[test]
fn commands_that_need_no_cluster_do_what_the_pages_say() {
    let mut run = 0;
    for page in pages(ENGLISH) {
        let blocks = blocks(&page);
        let runnable = blocks.iter().filter(|block| block.kind.is_run()).count();
        if runnable == 0 {
            continue;
        }
        run += runnable;
        let checkout = Checkout::new();
        let printed = checkout.run(&page, &blocks);
        for pair in blocks.windows(2) {
            let [commands, expected] = pair else { continue };
            if !commands.kind.is_run() || expected.kind != Kind::Output {
                continue;
            }
            let place = format!("{}:{}", page.display(), expected.line);
            let printed = printed_by(&printed, commands.line).unwrap_or_else(|| panic!("{place}: nothing"));
            is_printed(&checkout.adapted(&expected.text), printed)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }
    assert!(run >= 12, "{run} blocks were run");
}
