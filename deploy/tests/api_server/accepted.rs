//! The API server accepts each manifest that a user applies.

use std::{fs, process::Command};

use deploy_tests::programs::{built, root, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{cluster, files, kustomized, said};

/// Folders of `deploy` that a user applies as a whole, with `kubectl apply -k`.
const FOLDERS: [&str; 4] =
    ["kserve/overlays/kubeflow", "kserve/overlays/standard", "kserve/overlays/knative", "kserve/runtime"];
/// Folders of `deploy` whose files a user applies one by one.
const EXAMPLES: [&str; 4] = ["kserve/examples", "katib", "trainjob", "kubeflow"];
/// No definition of its kind is to be had: see below.
const POD_DEFAULT: &str = "kubeflow/pod-default.yaml";
/// The folder of `deploy` that a user applies as a whole and that has no pods.
const MONITORING: &str = "monitoring";

#[test]
fn every_manifest_is_accepted_and_a_misspelt_one_is_not() {
    let cluster = cluster();
    let folders = FOLDERS.into_iter().chain([MONITORING]);
    let folders = folders.map(|folder| (folder.to_owned(), kustomized(folder)));
    let files = EXAMPLES.iter().flat_map(|folder| files(folder));
    let files = files.filter(|path| !path.ends_with(POD_DEFAULT));
    let files = files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()));
    let mut documents = 0;
    for (name, text) in folders.chain(files) {
        // The overlay for Kubeflow sets the namespace of a profile.
        let namespace = if text.contains("namespace: kubeflow-user-example-com") {
            "kubeflow-user-example-com"
        } else {
            "manifests"
        };
        let made =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }).to_string();
        cluster.kubectl("administrator", &["apply", "--server-side", "-f", "-"], &made);
        let apply = ["apply", "--server-side", "--validate=strict", "--namespace", namespace, "-f", "-"];
        let applied = cluster.kubectl("administrator", &apply, &text);
        documents += applied.lines().filter(|line| line.ends_with("serverside-applied")).count();
        // Katib's definition accepts any field. The next test checks its trials.
        if name.contains("/katib/") {
            continue;
        }
        // Adds a field that does not exist to the specification.
        let misspelt = text.replacen("\nspec:\n", "\nspec:\n  misspelt: true\n", 1);
        assert_ne!(misspelt, text, "{name}");
        let dry = [&apply[..], &["--dry-run=server"]].concat();
        let refused = cluster.kubectl_output("administrator", &dry, &misspelt);
        assert!(
            !refused.status.success() && said(&refused).contains("misspelt"),
            "{name}: {}",
            said(&refused)
        );
        if !name.starts_with("kserve/runtime") {
            let delete = ["delete", "--namespace", namespace, "--wait=true", "-f", "-"];
            cluster.kubectl("administrator", &delete, &text);
        }
    }
    assert!(documents >= 20, "{documents}");
}

/// Kubeflow's webhook puts what a `PodDefault` has into the pods with its label: so it is put into one here.
#[test]
fn what_the_pod_default_adds_makes_a_pod_with_a_token_for_pipelines() {
    let cluster = cluster();
    let text = fs::read_to_string(root().join("deploy").join(POD_DEFAULT)).unwrap();
    let default: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(
        (&default["apiVersion"], &default["kind"]),
        (&json!("kubeflow.org/v1alpha1"), &json!("PodDefault"))
    );
    let spec = default["spec"].as_object().unwrap();
    let mut keys: Vec<&str> = spec.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["desc", "env", "selector", "volumeMounts", "volumes"]);
    // A label is all by which a notebook asks for it.
    assert_eq!(spec["selector"], json!({ "matchLabels": { "access-ml-pipeline": "true" } }));

    let container = json!({
        "name": "notebook", "image": "notebook", "env": spec["env"], "volumeMounts": spec["volumeMounts"]
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "notebook" },
        "spec": {
            // The account of a notebook's pod. The API server of the tests fills in none.
            "serviceAccountName": "default-editor", "containers": [container], "volumes": spec["volumes"]
        }
    });
    let create =
        ["create", "--namespace=default", "--validate=strict", "--dry-run=server", "-o", "json", "-f", "-"];
    let made = cluster.kubectl("administrator", &create, &pod.to_string());
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = &made["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], "pipelines.kubeflow.org");
    // The variable names the file that the volume has.
    let folder = made["spec"]["containers"][0]["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let variable = &made["spec"]["containers"][0]["env"][0];
    assert_eq!(variable["name"], "KF_PIPELINES_SA_TOKEN_PATH");
    assert_eq!(variable["value"], format!("{folder}/{}", token["path"].as_str().unwrap()));

    let misspelt = pod.to_string().replace("serviceAccountToken", "serviceAccountTokens");
    assert!(!cluster.kubectl_output("administrator", &create, &misspelt).status.success());
}

#[test]
fn every_trial_of_katib_is_a_job_that_starts_the_trainer() {
    let cluster = cluster();
    let [file] = &files("katib")[..] else { panic!("one experiment") };
    let experiment: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let spec = &experiment["spec"];
    let template = &spec["trialTemplate"];
    let mut job = template["trialSpec"].clone();
    // Replaces the name of each parameter by the first value that it may have, as Katib does.
    let mut text = job.to_string();
    for parameter in template["trialParameters"].as_array().unwrap() {
        let mut searched = spec["parameters"].as_array().unwrap().iter();
        let searched = searched.find(|searched| searched["name"] == parameter["reference"]).unwrap();
        let space = &searched["feasibleSpace"];
        let value = space["list"][0].as_str().or(space["min"].as_str()).unwrap();
        let place = format!("${{trialParameters.{}}}", parameter["name"].as_str().unwrap());
        assert!(text.contains(&place), "{place} is missing in the trial");
        text = text.replace(&place, value);
    }
    assert!(!text.contains("${"), "a parameter without a value: {text}");
    job = serde_json::from_str(&text).unwrap();
    job["metadata"] = json!({ "name": "trial" });
    let create = ["create", "--namespace=default", "--validate=strict", "--dry-run=server", "-f", "-"];
    cluster.kubectl("administrator", &create, &job.to_string());
    job["spec"]["misspelt"] = true.into();
    assert!(!cluster.kubectl_output("administrator", &create, &job.to_string()).status.success());

    // The trial's command, on a small data set, prints the metrics that the experiment asks for.
    let containers = &job["spec"]["template"]["spec"]["containers"];
    let primary = containers
        .as_array()
        .unwrap()
        .iter()
        .find(|container| container["name"] == template["primaryContainerName"]);
    let command: Vec<String> = serde_json::from_value(primary.unwrap()["command"].clone()).unwrap();
    let folder = TempDir::new().unwrap();
    let here = |argument: &String| argument.replace("/tmp", folder.path().to_str().unwrap());
    let trainer = || Command::new(built("decima-trainer").unwrap());
    let synth = ["synth", "--train=400", "--test=50"];
    run(trainer().args(synth).arg(here(&"--out=/tmp/data".to_owned()))).unwrap();
    let printed = run(trainer().args(command[1..].iter().map(here)).arg("--holdout=40")).unwrap();
    let objective = &spec["objective"];
    let names = objective["additionalMetricNames"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&objective["objectiveMetricName"]]);
    for name in names {
        let line = format!("{}=", name.as_str().unwrap());
        assert!(printed.lines().any(|printed| printed.starts_with(&line)), "no {line} in {printed}");
    }
}

/// The pod specifications in a manifest: their containers, init containers and volumes.
fn pods(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let places = [
        "/spec/predictor",
        "/spec/trialTemplate/trialSpec/spec/template/spec",
        "/spec/template/spec/replicatedJobs/0/template/spec/template/spec",
    ];
    let mut pods = Vec::new();
    for document in &documents {
        let runtime = (document["kind"] == "ClusterServingRuntime").then_some("/spec");
        for place in places.into_iter().chain(runtime) {
            let Some(pod) = document.pointer(place).filter(|pod| pod["containers"].is_array()) else {
                continue;
            };
            let part = |name: &str| pod.get(name).cloned().unwrap_or_else(|| json!([]));
            pods.push(json!({
                "containers": part("containers"),
                "initContainers": part("initContainers"),
                "volumes": part("volumes")
            }));
        }
    }
    pods
}

#[test]
fn pods_of_every_kind_fit_the_strictest_standard_of_security() {
    let cluster = cluster();
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "restricted", "labels": labels }
    });
    cluster.kubectl("administrator", &["apply", "--server-side", "-f", "-"], &namespace.to_string());
    let texts = FOLDERS.iter().map(|folder| kustomized(folder));
    let files = ["katib", "trainjob"].iter().flat_map(|folder| files(folder));
    let pods: Vec<Value> = texts
        .chain(files.map(|path| fs::read_to_string(path).unwrap()))
        .flat_map(|text| pods(&text))
        .collect();
    assert_eq!(pods.len(), FOLDERS.len() + 2);
    let dry = ["create", "--namespace=restricted", "--dry-run=server", "-f", "-"];
    for (index, spec) in pods.iter().enumerate() {
        let metadata = json!({ "name": format!("pod-{index}") });
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
        cluster.kubectl("administrator", &dry, &pod.to_string());
        let mut loose = pod;
        loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
        let refused = cluster.kubectl_output("administrator", &dry, &loose.to_string());
        assert!(said(&refused).contains("violates PodSecurity"), "{}", said(&refused));
    }
}
