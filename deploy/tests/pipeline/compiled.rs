//! The committed file of the compiled pipeline.

use std::{collections::BTreeSet, fs, process::Command};

use deploy_tests::programs::{cached, root, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The steps, and whether Pipelines may reuse their results from an earlier run with the same inputs (caching).
const STEPS: [(&str, bool); 9] = [
    ("fetch", true),
    ("prepare", true),
    ("latest", false),
    ("train", true),
    ("evaluate", true),
    ("export", true),
    ("gate", false),
    ("publish", false),
    ("deploy", false),
];
/// The steps that read or write the store. Only they have its keys.
const WITH_KEYS: [&str; 4] = ["fetch", "gate", "latest", "publish"];

/// The two documents of the compiled pipeline: the pipeline itself, and its Kubernetes-specific part.
fn documents() -> (Value, Value) {
    let text = fs::read_to_string(root().join("deploy/pipeline/pipeline.yaml")).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let [pipeline, platform] = documents.try_into().unwrap_or_else(|_| panic!("two documents"));
    (pipeline, platform)
}

#[test]
fn the_compiled_pipeline_matches_its_source() {
    let python = cached("kfp", "venv-kfp/bin/python").unwrap();
    let folder = TempDir::new().unwrap();
    let compiled = folder.path().join("pipeline.yaml");
    run(Command::new(python).arg(root().join("deploy/pipeline/pipeline.py")).arg("--out").arg(&compiled))
        .unwrap();
    let committed = fs::read_to_string(root().join("deploy/pipeline/pipeline.yaml")).unwrap();
    assert!(
        fs::read_to_string(compiled).unwrap() == committed,
        "deploy/pipeline/pipeline.yaml is outdated: run ~/.cache/decima/venv-kfp/bin/python deploy/pipeline/pipeline.py"
    );
}

#[test]
fn every_step_has_its_limits_its_retries_and_its_caching() {
    let (pipeline, _) = documents();
    let tasks = pipeline["root"]["dag"]["tasks"].as_object().unwrap();
    let executors = pipeline["deploymentSpec"]["executors"].as_object().unwrap();
    let names = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&mut tasks.keys()), STEPS.iter().map(|(name, _)| (*name).to_owned()).collect());
    assert_eq!(executors.len(), STEPS.len());
    for (name, cached) in STEPS {
        let task = &tasks[name];
        assert_eq!(task["cachingOptions"]["enableCache"].as_bool().unwrap_or(false), cached, "{name}");
        assert!(task["retryPolicy"]["maxRetryCount"].as_i64().unwrap() >= 1, "{name}: {task}");
        let container = &executors[&format!("exec-{name}")]["container"];
        for limit in
            ["resourceCpuLimit", "resourceMemoryLimit", "resourceCpuRequest", "resourceMemoryRequest"]
        {
            assert!(container["resources"][limit].is_string(), "{name} has no {limit}: {container}");
        }
        assert_eq!(container["image"], "decima-trainer:0.1.0", "{name}");
        assert_eq!(container["command"], json!(["/usr/local/bin/decima-trainer"]), "{name}");
        let args = container["args"].as_array().unwrap();
        assert_eq!(args[0], name);
        assert_eq!(args[args.len() - 2..], [json!("--executor-input"), json!("{{$}}")], "{name}");
        for argument in args.iter().filter_map(Value::as_str).filter(|argument| argument.contains("s3://")) {
            let place = "s3://mlpipeline/private/{{$.inputs.parameters['namespace']}}/";
            assert!(argument.contains(place), "{name}: a profile's key has no access to {argument}");
        }
    }
}

#[test]
fn keys_come_from_the_profiles_own_secret_and_only_the_steps_that_need_them_have_them() {
    let (pipeline, platform) = documents();
    let steps = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].as_object().unwrap();
    let with_keys: Vec<&str> = steps.keys().map(|name| name.trim_start_matches("exec-")).collect();
    assert_eq!(with_keys, WITH_KEYS);
    for (name, step) in steps {
        let [secret] = &step["secretAsEnv"].as_array().unwrap()[..] else { panic!("{name}: {step}") };
        assert_eq!(secret["secretName"], "mlpipeline-minio-artifact", "{name}");
        let keys = secret["keyToEnv"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["secretKey"].as_str().unwrap(), key["envVar"].as_str().unwrap()));
        let expected = [("accesskey", "AWS_ACCESS_KEY_ID"), ("secretkey", "AWS_SECRET_ACCESS_KEY")];
        assert_eq!(keys.collect::<BTreeSet<_>>(), expected.into(), "{name}");
        let env = pipeline["deploymentSpec"]["executors"][name]["container"]["env"].to_string();
        assert!(env.contains("http://seaweedfs.kubeflow:8333"), "{name}: {env}");
    }
}

#[test]
fn publish_and_deploy_follow_the_gates_decision() {
    let (pipeline, _) = documents();
    let tasks = &pipeline["root"]["dag"]["tasks"];
    let decision =
        json!({ "taskOutputParameter": { "outputParameterKey": "decision", "producerTask": "gate" } });
    for name in ["publish", "deploy"] {
        assert_eq!(tasks[name]["inputs"]["parameters"]["decision"], decision, "{name}");
        let args =
            pipeline["deploymentSpec"]["executors"][&format!("exec-{name}")]["container"]["args"].to_string();
        assert!(args.contains("--gate={{$.inputs.parameters['decision']}}"), "{name}: {args}");
    }
    // All runs use the same name for the service.
    let args = &pipeline["deploymentSpec"]["executors"]["exec-deploy"]["container"]["args"];
    assert_eq!((&args[1], &args[2]), (&json!("--name"), &json!("digits")));
}
