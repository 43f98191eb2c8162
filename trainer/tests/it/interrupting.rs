//! Ctrl-C during training: the program saves the best weights so far and prints how to go on.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use decima_trainer::checkpoint::Checkpoint;
use tempfile::TempDir;

use crate::support::{succeed, text, trained, trainer};

/// Number of epochs of a training that is interrupted long before its end.
const MANY: &str = "1000";

/// Starts a command. Returns it with its stderr.
fn start(arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = trainer().args(arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    (child, said)
}

/// Sends SIGINT, as a terminal does for Ctrl-C.
fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

/// Reads lines until one starts with `start`.
fn wait_for(said: &mut impl BufRead, start: &str) {
    let mut seen = String::new();
    loop {
        let before = seen.len();
        assert!(said.read_line(&mut seen).unwrap() > 0, "no line starts with {start} in\n{seen}");
        if seen[before..].starts_with(start) {
            return;
        }
    }
}

fn rest(mut said: impl Read) -> String {
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    text
}

/// Runs the commands that the message names, as if pasted into a shell.
fn go_on(message: &str) {
    let folder = Path::new(env!("CARGO_BIN_EXE_decima-trainer")).parent().unwrap();
    let path = format!("{}:{}", text(folder), std::env::var("PATH").unwrap());
    let commands = message.lines().filter(|line| line.starts_with("  decima-trainer "));
    for command in commands {
        let output = Command::new("sh").args(["-c", command]).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn run_saves_the_best_weights_and_the_printed_commands_make_a_model_of_them() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("what came out");
    let data = trained().join("synth");
    let arguments = ["run", "--mnist", text(&data), "--epochs", MANY, "--out", text(&out)];
    let (mut child, mut said) = start(&arguments);
    wait_for(&mut said, "epoch    2/1000 ");
    interrupt(&child);
    let said = rest(said);
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(
        said.contains("Ctrl-C again ends at once") && said.contains("decima-trainer: stopped after"),
        "{said}"
    );
    let history = Checkpoint::load(&out.join("weights.safetensors")).unwrap().history;
    let last = history.epochs.last().unwrap().epoch;
    assert!((2..1000).contains(&last) && history.epochs.len() == last, "{last} epochs");
    assert!((1..=last).contains(&history.chosen_epoch));
    assert_eq!(history.recipe.epochs, 1000);
    assert!(!out.join("model.onnx").exists() && !out.join("report.html").exists());
    go_on(&said);
    assert!(out.join("model.onnx").is_file());
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains(&format!("Training was stopped after {last} of 1,000 epochs")));
}

#[test]
fn train_saves_its_weights_too() {
    let folder = TempDir::new().unwrap();
    let (prepared, out) = (folder.path().join("prepared"), folder.path().join("out"));
    let data = trained().join("synth");
    succeed(&["prepare", "--data", text(&data), "--out", text(&prepared)]);
    let arguments = ["train", "--data", text(&prepared), "--epochs", MANY, "--out", text(&out)];
    let (mut child, mut said) = start(&arguments);
    wait_for(&mut said, "epoch    1/1000 ");
    interrupt(&child);
    let said = rest(said);
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    go_on(&said);
    assert!(out.join("model.onnx").is_file());
}

#[test]
fn an_interrupt_in_the_first_epoch_leaves_no_files() {
    let folder = TempDir::new().unwrap();
    let (data, out) = (folder.path().join("synth"), folder.path().join("out"));
    // An epoch of so many pictures lasts long enough for the signal to come before its end.
    succeed(&["synth", "--train", "30000", "--test", "10", "--out", text(&data)]);
    let (mut child, mut said) = start(&["run", "--mnist", text(&data), "--out", text(&out)]);
    wait_for(&mut said, "training on ");
    interrupt(&child);
    let said = rest(said);
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("stopped before the first epoch was over"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let data = trained().join("synth");
    let arguments = ["run", "--mnist", text(&data), "--epochs", MANY, "--out", text(&out)];
    let (mut child, mut said) = start(&arguments);
    wait_for(&mut said, "epoch    1/1000 ");
    // The system may merge signals that are pending. The second one is therefore sent after the first was handled.
    interrupt(&child);
    wait_for(&mut said, "stopping with the best weights so far");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The second signal may come before or after the weights are saved. If the file exists, it must be whole.
    let weights = out.join("weights.safetensors");
    assert!(!weights.exists() || Checkpoint::load(&weights).is_ok());
}

#[test]
fn progress_lines_in_a_file_are_plain_and_aligned() {
    let folder = TempDir::new().unwrap();
    let data = trained().join("synth");
    let out = succeed(&["run", "--mnist", text(&data), "--epochs", "2", "--out", text(folder.path())]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said:?}");
    let epochs: Vec<&str> = said.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert_eq!(epochs.len(), 2, "{said}");
    assert_eq!(epochs[0].find("held out"), epochs[1].find("held out"));
    assert!(epochs[0].contains(" left") && !epochs[1].contains(" left"), "{said}");
}
