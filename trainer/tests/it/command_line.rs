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
fn a_service_has_a_name_that_kserve_takes() {
    let deploy = |name: &str| {
        let place = "s3://mlpipeline/private/alice/models";
        let name = format!("--name={name}");
        trainer().args(["deploy", "--dry-run", "--models", place, &name]).output().unwrap()
    };
    let longest = "d".repeat(53);
    for name in ["digits", "d", "digits-2", &longest] {
        let output = deploy(name);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && printed.contains(&format!("\n  name: {name}\n")), "{printed}");
    }
    for name in ["", "Digits", "my_digits", "2-digits", "-digits", "digits-", "a.b", &longest.repeat(2)] {
        let output = deploy(name);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && said.contains("small letters"), "{name:?}: {said}");
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
