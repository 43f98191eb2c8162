//! The notebook: kept without outputs, and run from its first cell to its last.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

use std::{fs, process::Command};

use deploy_tests::programs::{built, cached, root, run};
use serde_json::Value;
use tempfile::TempDir;

const NOTEBOOK: &str = "deploy/notebook/digits.ipynb";
/// Plots that it draws: counts, samples, curves, confusion, mistakes, a picture and what the model saw.
const PLOTS: usize = 6;
/// Fewer bytes would be a plot with nothing in it.
const SMALLEST_PLOT: usize = 6_000;

/// The cells of code.
fn code(notebook: &Value) -> Vec<&Value> {
    notebook["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == "code").collect()
}

/// The text of a cell or of an output, which a notebook keeps as lines.
fn joined(lines: &Value) -> String {
    match lines {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

#[test]
fn it_is_kept_without_what_a_run_leaves_in_it() {
    let notebook: Value = serde_json::from_str(&fs::read_to_string(root().join(NOTEBOOK)).unwrap()).unwrap();
    let cells = code(&notebook);
    assert!(cells.len() > 10);
    for cell in cells {
        let source = joined(&cell["source"]);
        assert_eq!(cell["outputs"], serde_json::json!([]), "strip the outputs of: {source}");
        assert_eq!(cell["execution_count"], Value::Null, "strip the number of: {source}");
        assert_eq!(cell["metadata"], serde_json::json!({}), "{source}");
    }
    assert_eq!(notebook["metadata"]["kernelspec"]["name"], "python3");
}

#[test]
fn it_runs_to_its_end_and_draws_its_plots() {
    let folder = TempDir::new().unwrap();
    let executed = folder.path().join("executed.ipynb");
    let mut python = Command::new(cached("notebook", "venv-notebook/bin/python").unwrap());
    python.arg(root().join("deploy/notebook/execute.py")).arg(&executed);
    python.envs([("DIGITS_SOURCE", "synth"), ("DIGITS_EPOCHS", "2")]);
    python.envs([("DIGITS_TRAIN", "3000"), ("DIGITS_TEST", "1000")]);
    python.env("DIGITS_WORK", folder.path().join("work"));
    python.env("DECIMA_SERVER", built("decima-server").unwrap().canonicalize().unwrap());
    python.env("DECIMA_TRAINER", built("decima-trainer").unwrap().canonicalize().unwrap());
    // Nothing of the account that runs the tests is read, and nothing is left with it.
    python.env("IPYTHONDIR", folder.path().join("ipython")).env("MPLCONFIGDIR", folder.path().join("plots"));
    run(&mut python).unwrap();

    let notebook: Value = serde_json::from_str(&fs::read_to_string(&executed).unwrap()).unwrap();
    let outputs: Vec<&Value> =
        code(&notebook).iter().flat_map(|cell| cell["outputs"].as_array().unwrap()).collect();
    let plots: Vec<String> = outputs.iter().map(|output| joined(&output["data"]["image/png"])).collect();
    let plots: Vec<&String> = plots.iter().filter(|plot| !plot.is_empty()).collect();
    assert!(plots.len() >= PLOTS, "{} plots", plots.len());
    assert!(plots.iter().all(|plot| plot.len() > SMALLEST_PLOT), "an empty plot");

    let said: String = outputs.iter().map(|output| joined(&output["text"])).collect();
    for part in [
        "2 epochs;",
        "read wrongly, as the report says",
        "so no pipeline is started",
        "the server ended with 0",
    ] {
        assert!(said.contains(part), "it does not say `{part}`:\n{said}");
    }
    assert!(!folder.path().join("work").exists(), "it has tidied up");
}
