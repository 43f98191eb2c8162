//! `decima-trainer deploy`, when it succeeds.

use std::fs;

use serde_json::{Value, json};

use crate::{
    cluster::{NAMESPACE, cluster, said},
    gateway::{Controller, Server, mesh},
};

const MODELS: [&str; 2] = ["--models", "s3://mlpipeline/private/alice/models"];

#[test]
fn deploy_applies_a_service_waits_and_sends_a_digit_and_a_second_run_keeps_the_service() {
    let cluster = cluster();
    let server = Server::start();
    let address = mesh(server.port, "a.b.c");
    let _controller = Controller::start(cluster.clone(), "digits", address.clone());
    let token = cluster.path("token");
    fs::write(&token, "a.b.c\n").unwrap();
    let token = ["--token-file", token.to_str().unwrap()];

    let output = cluster.deploy("editor", &[&MODELS[..], &token, &["--timeout", "60s"]].concat());
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("PredictorReady: RevisionMissing: Configuration is waiting for a Revision"),
        "{text}"
    );
    assert!(text.contains("alice/digits is ready"), "{text}");
    assert!(text.contains("sent a 7, answered 7"), "{text}");
    assert!(
        text.ends_with(&format!("predict at {address}/v2/models/digits/infer\n"))
            || text.contains("predict at"),
        "{text}"
    );
    let service = cluster.get("inferenceservice", "digits").unwrap();
    let container = &service["spec"]["predictor"]["containers"][0];
    assert!(
        container["args"]
            .as_array()
            .unwrap()
            .contains(&json!("--model-repository=s3://mlpipeline/private/alice/models"))
    );
    let managers = service["metadata"]["managedFields"].to_string();
    assert!(managers.contains("decima-trainer"), "{managers}");

    // Again, as in the next run of a pipeline: nothing changes, and the request goes to the published version.
    let again =
        cluster.deploy("editor", &[&MODELS[..], &token, &["--timeout", "60s", "--version", "1"]].concat());
    assert!(again.status.success(), "{}", said(&again));
    assert!(
        said(&again).contains(&format!("predict at {address}/v2/models/digits/versions/1/infer")),
        "{}",
        said(&again)
    );
    let after = cluster.get("inferenceservice", "digits").unwrap();
    assert_eq!(after["metadata"]["generation"], service["metadata"]["generation"]);
    let listed: Value = serde_json::from_str(&cluster.kubectl(
        "administrator",
        &["-n", NAMESPACE, "get", "inferenceservices", "-o", "json"],
        "",
    ))
    .unwrap();
    let of_the_trainer =
        listed["items"].as_array().unwrap().iter().filter(|service| service["metadata"]["name"] == "digits");
    assert_eq!(of_the_trainer.count(), 1);

    // A new image changes the same service, which must become ready again.
    let newer = [&MODELS[..], &token, &["--timeout", "60s", "--image", "decima-server:next"]].concat();
    let newer = cluster.deploy("editor", &newer);
    assert!(
        said(&newer).contains("RevisionMissing"),
        "the old status counted for the new generation: {}",
        said(&newer)
    );

    // Without the token the mesh refuses the request. A version that does not exist never answers.
    let refused = cluster
        .deploy("editor", &[&MODELS[..], &["--timeout", "60s", "--image", "decima-server:next"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    let text = said(&refused);
    assert!(text.contains("403 RBAC: access denied") && text.contains("--token-file"), "{text}");
    let image = ["--image", "decima-server:next"];
    let missing = cluster
        .deploy("editor", &[&MODELS[..], &token, &image, &["--timeout", "5s", "--version", "9"]].concat());
    let text = said(&missing);
    assert!(
        missing.status.code() == Some(1) && text.contains("404") && text.contains("versions/9"),
        "{text}"
    );
}

#[test]
fn the_api_server_accepts_what_a_dry_run_prints() {
    let cluster = cluster();
    let output = cluster
        .deploy("nobody", &[&MODELS[..], &["--name", "dry", "--namespace", NAMESPACE, "--dry-run"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    cluster.kubectl(
        "administrator",
        &["apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"],
        &text,
    );
    assert!(cluster.get("inferenceservice", "dry").is_none());
    // The same for a service that the cluster's runtime serves.
    let output =
        cluster.deploy("nobody", &["--storage-uri", "s3://models/digits", "--name", "dry", "--dry-run=true"]);
    let text = String::from_utf8(output.stdout).unwrap();
    cluster.kubectl(
        "administrator",
        &["apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"],
        &text,
    );
    // If the gate said no, the cluster is not asked at all.
    let output = cluster.deploy("nobody", &[&MODELS[..], &["--gate=false"]].concat());
    assert!(
        output.status.success() && said(&output).contains("not deployed: the gate said no"),
        "{}",
        said(&output)
    );
}
