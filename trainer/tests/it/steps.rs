//! The commands as steps of a Kubeflow pipeline: the results that they write, and the gate.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::{fail, succeed, text, trained, trainer};

/// A task that asks for these output parameters, by name, and these artifacts, by name and type.
fn task(file: &Path, parameters: &[&str], artifacts: &[(&str, &str)]) -> String {
    let parameters: Map<String, Value> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({ "outputFile": "/nowhere" }))).collect();
    let artifacts: Map<String, Value> = artifacts
        .iter()
        .map(|(name, kind)| {
            let artifact =
                json!({ "name": name, "uri": format!("minio://x/{name}"), "type": { "schemaTitle": kind } });
            ((*name).to_owned(), json!({ "artifacts": [artifact] }))
        })
        .collect();
    let outputs = json!({ "parameters": parameters, "artifacts": artifacts, "outputFile": text(file) });
    json!({ "inputs": {}, "outputs": outputs }).to_string()
}

/// Runs a command as a step and returns the results that it wrote.
fn step(arguments: &[&str], parameters: &[&str], artifacts: &[(&str, &str)]) -> Value {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("output.json");
    let task = task(&file, parameters, artifacts);
    succeed(&[arguments, &["--executor-input", &task]].concat());
    let output: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for (name, _) in artifacts {
        assert_eq!(output["artifacts"][name]["artifacts"][0]["uri"], format!("minio://x/{name}"), "{output}");
    }
    let given: Vec<&String> = output["parameterValues"].as_object().unwrap().keys().collect();
    let mut asked = parameters.to_vec();
    asked.sort_unstable();
    assert_eq!(given, asked, "{arguments:?}");
    output
}

fn metadata<'a>(output: &'a Value, artifact: &str) -> &'a Value {
    &output["artifacts"][artifact]["artifacts"][0]["metadata"]
}

#[test]
fn every_step_writes_what_pipelines_shows() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let dataset = ["dataset_version", "train_pictures", "test_pictures"];
    let synth = trained().join("synth");

    let fetched =
        step(&["fetch", "--from", text(&synth), "--out", &at("data")], &[], &[("data", "system.Dataset")]);
    assert_eq!(metadata(&fetched, "data")["source"], text(&synth));
    let prepare = ["prepare", "--data", &at("data"), "--out", &at("prepared")];
    let prepared = step(&prepare, &dataset, &[("prepared", "system.Dataset")]);
    assert_eq!(prepared["parameterValues"]["train_pictures"], 2000);
    assert_eq!(metadata(&prepared, "prepared")["test_pictures"], 500);
    let version = prepared["parameterValues"]["dataset_version"].as_str().unwrap();
    assert_eq!(version.len(), 64);

    let latest = ["latest", "--from", &at("nothing"), "--data", &at("prepared"), "--out", &at("enlarged")];
    let parameters = [&dataset[..], &["pictures_used", "pictures_left_out"]].concat();
    let latest = step(&latest, &parameters, &[("enlarged", "system.Dataset")]);
    assert_eq!(latest["parameterValues"]["pictures_used"], 0);
    assert_eq!(latest["parameterValues"]["dataset_version"], version);

    let train = [
        "train",
        "--data",
        &at("enlarged"),
        "--epochs",
        "2",
        "--learning-rate",
        "0",
        "--out",
        &at("weights"),
    ];
    let artifacts = [("weights", "system.Artifact"), ("curve", "system.Metrics")];
    let train = step(&train, &["chosen_epoch"], &artifacts);
    assert_eq!(metadata(&train, "weights")["optimizer"], "adamw");
    assert!(metadata(&train, "curve")["holdout_accuracy"].as_f64().unwrap() > 0.3, "{train}");

    let weights = at("weights/weights.safetensors");
    let [data, metrics, report, summary] =
        ["enlarged", "deep/metrics", "deep/report", "deep/summary"].map(at);
    let evaluate = [
        "evaluate",
        "--data",
        &data,
        "--weights",
        &weights,
        "--metrics",
        &metrics,
        "--report",
        &report,
        "--summary",
        &summary,
    ];
    let artifacts = [
        ("metrics", "system.Metrics"),
        ("confusion", "system.ClassificationMetrics"),
        ("report", "system.HTML"),
        ("summary", "system.Markdown"),
    ];
    let measured = step(&evaluate, &["accuracy", "loss", "errors"], &artifacts);
    let accuracy = measured["parameterValues"]["accuracy"].as_f64().unwrap();
    assert_eq!(metadata(&measured, "metrics")["accuracy"], accuracy);
    assert!(metadata(&measured, "metrics").as_object().unwrap().values().all(Value::is_number));
    let rows = metadata(&measured, "confusion")["confusionMatrix"]["rows"].as_array().unwrap();
    let counted: u64 =
        rows.iter().flat_map(|row| row["row"].as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((rows.len(), counted), (10, 500));
    let summary = fs::read_to_string(at("deep/summary")).unwrap();
    let shown = format!("| Test accuracy | {:.2} % |", 100.0 * accuracy);
    assert!(summary.contains(&shown) && summary.contains("| **All** |  | **70122** |"), "{summary}");
    assert!(fs::read_to_string(at("deep/report")).unwrap().starts_with("<!DOCTYPE html>"));

    let export = ["export", "--weights", &weights, "--metrics", &at("deep/metrics"), "--out", &at("model")];
    let exported = step(&export, &["model_sha256"], &[("model", "system.Model")]);
    assert_eq!(metadata(&exported, "model")["framework"], "ONNX");
    // `publish` takes the metrics from the model's folder, so `export` must put them there.
    assert!(folder.path().join("model/metrics.json").is_file());
    decided(folder.path());
}

/// Checks the steps after `export`; the model is in this folder.
fn decided(folder: &Path) {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let gate = |threshold: &str| {
        let metrics = at("deep/metrics");
        let served = at("models/digits");
        let gate = ["gate", "--metrics", &metrics, "--served", &served, "--threshold", threshold];
        step(&gate, &["decision", "reason"], &[("compared", "system.Metrics")])
    };
    let yes = gate("0.1");
    assert_eq!(yes["parameterValues"]["decision"], "true");
    assert!(yes["parameterValues"]["reason"].as_str().unwrap().contains("nothing is served yet"));
    assert_eq!(metadata(&yes, "compared")["threshold"], 0.1);
    assert_eq!(gate("1")["parameterValues"]["decision"], "false");

    let publish = |decision: &str| {
        let (gate, model, to) = (format!("--gate={decision}"), at("model/model.onnx"), at("models/digits"));
        step(&["publish", "--model", &model, "--to", &to, &gate], &["published", "version", "place"], &[])
    };
    assert_eq!(
        publish("false")["parameterValues"],
        json!({ "published": "false", "version": "", "place": "" })
    );
    assert!(!folder.join("models").exists());
    let expected = json!({ "published": "true", "version": "1", "place": at("models/digits/1") });
    assert_eq!(publish("true")["parameterValues"], expected);
    assert!(gate("0.1")["parameterValues"]["reason"].as_str().unwrap().contains("version 1"));

    let deploy = ["deploy", "--models", "s3://models", "--version", "", "--gate=false"];
    let deployed = step(&deploy, &["deployed", "address"], &[]);
    assert_eq!(deployed["parameterValues"], json!({ "deployed": "false", "address": "" }));
}

#[test]
fn the_gate_says_no_to_a_worse_model_and_fails_with_its_flag() {
    let folder = TempDir::new().unwrap();
    let metrics = trained().join("out/metrics.json");
    let served = folder.path().join("digits");
    let version = |number: u32, figures: Option<&str>| {
        let version = served.join(number.to_string());
        fs::create_dir_all(&version).unwrap();
        fs::write(version.join("model.onnx"), "").unwrap();
        if let Some(figures) = figures {
            fs::write(version.join("metrics.json"), figures).unwrap();
        }
    };
    let place =
        ["gate", "--metrics", text(&metrics), "--served", text(&served), "--threshold", "0.5", "--fail"];
    let says = || String::from_utf8(succeed(&place).stdout).unwrap();
    assert!(says().starts_with("yes: "));
    version(9, Some(r#"{ "test": { "accuracy": 0.1 }, "written by": "a later release" }"#));
    assert!(says().contains("the served version 9 has 10.00 %"), "{}", says());
    // As a number, 10 comes after 9. As text, it would come before it.
    version(10, Some(r#"{ "test": { "accuracy": 1.0 } }"#));
    let said = fail(&place);
    assert!(
        said.contains("the gate says no") && said.contains("the served version 10 has 100.00 %"),
        "{said}"
    );
    let tolerant = [&place[..], &["--tolerance", "0.5"]].concat();
    succeed(&tolerant);
    version(11, None);
    assert!(says().contains("the served version 11 has no metrics.json"), "{}", says());
    version(12, Some("{}"));
    assert!(fail(&place).contains("12/metrics.json has no accuracy"));
}

#[test]
fn a_failing_gate_writes_its_reason_for_the_pipeline() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("output.json");
    let metrics = trained().join("out/metrics.json");
    let task = task(&file, &["decision", "reason"], &[]);
    fail(&["gate", "--metrics", text(&metrics), "--threshold", "1", "--fail", "--executor-input", &task]);
    let output: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(output["parameterValues"]["decision"], "false");
}

#[test]
fn a_wrong_task_is_refused_before_any_work() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let synth = ["synth", "--train", "200", "--test", "10", "--out", text(&out), "--executor-input"];
    let task = task(&folder.path().join("output.json"), &["accuracy"], &[]);
    let said = fail(&[&synth[..], &[&task]].concat());
    assert!(said.contains("\"accuracy\" of synth"), "{said}");
    assert!(fail(&[&synth[..], &["{{$}}"]].concat()).contains("EXECUTOR_INPUT_PLACEHOLDER"));
    assert!(!out.exists());
}

#[test]
fn both_optimisers_learn_and_katib_reads_their_figures() {
    let folder = TempDir::new().unwrap();
    let data = trained().join("synth");
    // Gradient descent needs more steps for the same accuracy. Random answers would have an accuracy of 0.1.
    for (optimizer, rate, at_least) in [("sgd", "0", 0.7), ("adamw", "0.003", 0.9)] {
        let (out, models) = (folder.path().join(optimizer), folder.path().join("models"));
        let run =
            ["run", "--mnist", text(&data), "--epochs", "3", "--log-format", "katib", "--out", text(&out)];
        let more = ["--optimizer", optimizer, "--learning-rate", rate, "--publish", text(&models)];
        let output = trainer().args([&run[..], &more].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        // Katib's collector reads lines of a name, an equals sign and a number.
        let figures = |name: &str| -> Vec<f64> {
            let lines = said.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            lines.map(|number| number.parse().unwrap()).collect()
        };
        let accuracy = figures("accuracy");
        assert!(accuracy.len() == 1 && accuracy[0] > at_least, "{optimizer}: {accuracy:?}\n{said}");
        assert_eq!(figures("holdout_accuracy").len(), 3, "{said}");
        assert!(figures("train_loss").is_sorted_by(|a, b| a > b), "{optimizer}: {said}");
        let metrics: Value = serde_json::from_slice(&fs::read(out.join("metrics.json")).unwrap()).unwrap();
        assert_eq!(metrics["recipe"]["optimizer"], optimizer);
        let expected = if optimizer == "sgd" { 0.1 } else { 0.003 };
        assert!((metrics["recipe"]["peak_learning_rate"].as_f64().unwrap() - expected).abs() < 1e-6);
    }
    // Both models were published.
    assert!(folder.path().join("models/2/metrics.json").is_file());
}
