//! Exit codes and messages of the program.

use tempfile::TempDir;

use crate::support::{fail, succeed, text, trained, trainer};

#[test]
fn a_command_line_that_cannot_be_understood_exits_with_64() {
    for arguments in [&["serve"][..], &["run", "--epochs", "0"], &["run", "--thread", "2"], &[]] {
        let output = trainer().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn help_names_every_step() {
    let help = String::from_utf8(succeed(&["--help"]).stdout).unwrap();
    let steps = [
        "fetch", "synth", "prepare", "latest", "train", "evaluate", "export", "gate", "publish", "deploy",
        "run",
    ];
    for step in steps {
        assert!(help.contains(&format!("\n  {step} ")), "{step} is missing in\n{help}");
    }
}

#[test]
fn faults_name_the_file_and_the_mend() {
    let folder = TempDir::new().unwrap();
    let empty = text(folder.path());
    let text_of = fail(&["prepare", "--data", empty, "--out", empty]);
    assert!(text_of.contains("train-images-idx3-ubyte") && text_of.contains("fetch"), "{text_of}");
    let text_of = fail(&["train", "--data", empty, "--out", empty]);
    assert!(text_of.contains("decima-trainer prepare"), "{text_of}");
    let metrics = trained().join("out/metrics.json");
    let text_of = fail(&["export", "--weights", text(&metrics), "--metrics", text(&metrics), "--out", empty]);
    assert!(text_of.contains("metrics.json is not a file that `decima-trainer train` wrote"), "{text_of}");
    let data = trained().join("synth");
    let text_of = fail(&["run", "--mnist", text(&data), "--holdout", "1990", "--out", empty]);
    assert!(text_of.contains("--holdout"), "{text_of}");
    assert!(!folder.path().join("model.onnx").exists());
}
