//! `decima-trainer deploy`, when it fails: the message says what is wrong and what to do.

use std::{fs, process::Command};

use deploy_tests::{programs::built, store::free_ports};
use serde_json::json;

use crate::{
    cluster::{NAMESPACE, cluster, said},
    gateway::pause,
};

const MODELS: [&str; 2] = ["--models", "s3://mlpipeline/private/alice/models"];

/// Runs `deploy` and expects it to fail with a message that contains `parts`.
fn fails(account: &str, args: &[&str], parts: &[&str]) {
    let output = cluster().deploy(account, &[&MODELS[..], args].concat());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{args:?} lacks {part:?}: {text}");
    }
}

#[test]
fn a_missing_kserve_and_missing_permissions_have_different_messages() {
    let cluster = cluster();
    let text = said(&cluster.without_definitions);
    assert_eq!(cluster.without_definitions.status.code(), Some(1));
    assert!(text.contains("does not know InferenceServices") && text.contains("install KServe"), "{text}");
    fails("nobody", &[], &["not allowed", "bob", "inferenceservices", "kubeflow-kserve-edit"]);
    // The account of a profile has no rights in other namespaces.
    fails("editor", &["--namespace", "kube-system"], &["not allowed", "default-editor", "kube-system"]);
    fails("administrator", &["--namespace", "nowhere"], &["there is no namespace nowhere"]);
}

#[test]
fn a_service_that_does_not_become_ready_says_why() {
    let cluster = cluster();
    fails(
        "editor",
        &["--name", "lonely", "--timeout", "3s"],
        &["alice/lonely is not ready", "it has no status"],
    );

    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "broken-predictor-0", "labels": { "serving.kserve.io/inferenceservice": "broken" } },
        "spec": { "containers": [{ "name": "kserve-container", "image": "decima-server:0.1.0" }] }
    });
    cluster.kubectl("administrator", &["-n", NAMESPACE, "create", "-f", "-"], &pod.to_string());
    let container = json!({
        "name": "kserve-container", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s restarting" } },
        "lastState": { "terminated": { "exitCode": 1, "message": "s3://mlpipeline/models: denied s3:ListBucket" } }
    });
    cluster.set_status("pod", "broken-predictor-0", &json!({ "containerStatuses": [container] }));
    let waiter = std::thread::spawn(move || {
        while cluster.get("inferenceservice", "broken").is_none() {
            pause(200);
        }
        let condition = json!({ "type": "PredictorReady", "status": "False", "reason": "MinimumReplicasUnavailable",
            "message": "Deployment does not have minimum availability.", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({ "observedGeneration": 1, "conditions": [condition] });
        cluster.set_status("inferenceservice", "broken", &status);
    });
    fails(
        "editor",
        &["--name", "broken", "--timeout", "8s"],
        &[
            "alice/broken is not ready after",
            "PredictorReady: MinimumReplicasUnavailable",
            "pod broken-predictor-0: kserve-container: CrashLoopBackOff",
            "ended with 1: s3://mlpipeline/models: denied s3:ListBucket",
        ],
    );
    waiter.join().unwrap();
}

#[test]
fn fields_of_another_manager_are_overwritten_only_with_force_conflicts() {
    let cluster = cluster();
    let theirs = cluster
        .deploy("editor", &[&MODELS[..], &["--name", "shared", "--image", "other:1", "--dry-run"]].concat());
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    cluster.kubectl("editor", &["-n", NAMESPACE, "apply", "--server-side", "-f", "-"], &theirs);
    fails("editor", &["--name", "shared", "--timeout", "3s"], &["kubectl", "--force-conflicts"]);
    // No controller handles the service here, so it is applied but never ready.
    fails("editor", &["--name", "shared", "--timeout", "3s", "--force-conflicts"], &["is not ready"]);
    let service = cluster.get("inferenceservice", "shared").unwrap();
    assert_eq!(service["spec"]["predictor"]["containers"][0]["image"], "decima-server:0.1.0");
}

#[test]
fn an_unreachable_cluster_and_unknown_credentials_are_explained() {
    let cluster = cluster();
    let with = |kubeconfig: &str| {
        let mut trainer = Command::new(built("decima-trainer").unwrap());
        let output =
            trainer.env("KUBECONFIG", kubeconfig).env("HOME", "/nowhere").arg("deploy").args(MODELS).output();
        said(&output.unwrap())
    };
    let text = with("/nowhere/config");
    assert!(text.contains("no cluster to deploy to") && text.contains("KUBECONFIG"), "{text}");

    let own = fs::read_to_string(cluster.kubeconfig("editor")).unwrap();
    let changed = |name: &str, text: String| {
        let path = cluster.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = with(&changed("unknown.kubeconfig", own.replace("token: editor", "token: stranger")));
    assert!(text.contains("does not accept your credentials") && text.contains("log in again"), "{text}");
    let [port] = free_ports().unwrap();
    let at = own.find("https://127.0.0.1:").unwrap() + "https://127.0.0.1:".len();
    let end = at + own[at..].find('\'').unwrap();
    let text = with(&changed("gone.kubeconfig", format!("{}{port}{}", &own[..at], &own[end..])));
    assert!(
        text.contains("cannot reach the cluster at https://127.0.0.1:") && text.contains("refused"),
        "{text}"
    );
}
