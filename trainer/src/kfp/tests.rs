use ndarray::arr2;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A task in the format of Pipelines 2.17 that asks for its results in `file`.
fn task(file: &str) -> String {
    json!({
        "inputs": {
            "parameterValues": { "epochs": 3 },
            "artifacts": { "data": { "artifacts": [{ "name": "d", "uri": "minio://a/d", "metadata": {}, "type": { "schemaTitle": "system.Dataset" } }] } }
        },
        "outputs": {
            "parameters": { "accuracy": { "outputFile": "/tmp/kfp/outputs/accuracy" } },
            "artifacts": {
                "metrics": { "artifacts": [{ "name": "m", "uri": "minio://a/m", "metadata": { "display_name": "metrics" }, "type": { "schemaTitle": "system.Metrics", "schemaVersion": "0.0.1" } }] },
                "confusion": { "artifacts": [{ "uri": "minio://a/c", "type": { "schemaTitle": "system.ClassificationMetrics" } }] },
                "report": { "artifacts": [{ "name": "r", "uri": "minio://a/r", "type": { "schemaTitle": "system.HTML" } }] },
                "model": { "artifacts": [{ "name": "o", "uri": "minio://a/o", "type": { "schemaTitle": "system.Model" } }] },
                "older": { "artifacts": [{ "name": "i", "uri": "minio://a/i", "type": { "instanceSchema": "" } }] }
            },
            "outputFile": file
        }
    })
    .to_string()
}

fn outcome() -> Outcome {
    Outcome {
        confusion: Some(arr2(&[[5, 1], [0, 7]])),
        ..Outcome::default()
            .parameter("accuracy", 0.5)
            .parameter("not asked for", "x")
            .fact("epochs", 3)
            .metric("accuracy", 0.5)
    }
}

#[test]
fn every_artifact_is_named_with_its_address_and_what_pipelines_shows_of_its_type() {
    let output = Step::parse(&task("/x")).unwrap().output(&outcome()).unwrap();
    let expected = json!({
        "parameterValues": { "accuracy": 0.5 },
        "artifacts": {
            "metrics": { "artifacts": [{ "name": "m", "uri": "minio://a/m", "metadata": { "accuracy": 0.5 } }] },
            "confusion": { "artifacts": [{ "uri": "minio://a/c", "metadata": { "confusionMatrix": {
                "annotationSpecs": [{ "displayName": "0" }, { "displayName": "1" }],
                "rows": [{ "row": [5, 1] }, { "row": [0, 7] }]
            } } }] },
            "report": { "artifacts": [{ "name": "r", "uri": "minio://a/r", "metadata": {} }] },
            "model": { "artifacts": [{ "name": "o", "uri": "minio://a/o", "metadata": { "epochs": 3 } }] },
            "older": { "artifacts": [{ "name": "i", "uri": "minio://a/i", "metadata": { "epochs": 3 } }] }
        }
    });
    assert_eq!(output, expected);
}

#[test]
fn the_file_is_written_into_a_folder_that_is_not_there_yet() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("deep/output.json");
    Step::parse(&task(file.to_str().unwrap())).unwrap().write(&outcome()).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written["parameterValues"]["accuracy"], 0.5);
}

#[test]
fn what_pipelines_would_refuse_is_refused_here_by_name() {
    let step = Step::parse(&task("/x")).unwrap();
    let error = step.output(&outcome().metric("loss", f64::NAN)).unwrap_err().to_string();
    assert!(
        error.starts_with("artifacts.metrics.artifacts[0].metadata.loss is null or not a finite number"),
        "{error}"
    );
    let error = step.output(&outcome().parameter("accuracy", f64::INFINITY)).unwrap_err().to_string();
    assert!(error.starts_with("parameterValues.accuracy is null or not a finite number"), "{error}");
    let error = step.output(&outcome().fact("list", vec![Value::Null])).unwrap_err().to_string();
    assert!(error.contains("metadata.list[0]"), "{error}");
    let error = step.output(&Outcome::default()).unwrap_err().to_string();
    assert!(error.contains("\"accuracy\""), "{error}");
}

#[test]
fn parameters_that_the_command_does_not_give_are_refused_before_its_work() {
    let step = Step::parse(&task("/x")).unwrap();
    step.expect("evaluate", &["loss", "accuracy"]).unwrap();
    let error = step.expect("train", &["epochs"]).unwrap_err().to_string();
    assert!(error.contains("\"accuracy\" of train, which has epochs"), "{error}");
    assert!(step.expect("export", &[]).unwrap_err().to_string().contains("has none"));
}

#[test]
fn text_that_is_not_a_task_is_refused_with_advice() {
    for text in ["", "{}", "{{$}}", r#"{"outputs":{}}"#, "null"] {
        let error = format!("{:#}", Step::parse(text).unwrap_err());
        assert!(error.contains("EXECUTOR_INPUT_PLACEHOLDER"), "{text}: {error}");
    }
    // A step without outputs names only the results file.
    let step = Step::parse(r#"{"outputs":{"outputFile":"/x"}}"#).unwrap();
    assert_eq!(step.output(&outcome()).unwrap(), json!({ "parameterValues": {}, "artifacts": {} }));
}

/// Any JSON value, allowed in a fact or not.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(Value::Bool),
        ".*".prop_map(Value::String),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Whether a protobuf JSON parser accepts the text as an `ExecutorOutput`: only known keys, and no `null`.
fn is_taken(text: &str) -> bool {
    let output: Value = serde_json::from_str(text).unwrap();
    let known = |value: &Value, keys: &[&str]| {
        value.as_object().unwrap().keys().all(|key| keys.contains(&key.as_str()))
    };
    let artifacts = output["artifacts"].as_object().unwrap().values();
    !text.contains("null")
        && known(&output, &["parameterValues", "artifacts"])
        && artifacts.clone().all(|list| known(list, &["artifacts"]))
        && artifacts
            .flat_map(|list| list["artifacts"].as_array().unwrap())
            .all(|artifact| known(artifact, &["name", "uri", "metadata"]) && artifact["uri"].is_string())
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_always_taken(name in "[a-m]{1,8}", value in value(), number in any::<f64>()) {
        let step = Step::parse(&task("/x")).unwrap();
        let outcome = outcome().fact(&name, value.clone()).metric(&name, number);
        match step.output(&outcome) {
            Ok(output) => {
                prop_assert!(number.is_finite() && !has_null(&value));
                let text = output.to_string();
                prop_assert!(is_taken(&text) || value.to_string().contains("null"), "{text}");
            }
            Err(error) => {
                prop_assert!(!number.is_finite() || has_null(&value), "{error}");
            }
        }
    }
}
