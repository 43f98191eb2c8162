//! What the troubleshooting page quotes of our programs at the store of a profile is what they say there.

use std::process::{Command, Stdio};

use deploy_tests::{
    programs::{built, root},
    store::Store,
};
use tempfile::TempDir;

use crate::blocks::{ENGLISH, read};

/// What a program says to the end, on both streams.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success(), "{command:?} did not fail");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

/// What is said of the store, from its place to its mend, as it would be in a cluster.
fn of_the_store(said: &str, store: &Store) -> String {
    let said = said.replace(&store.endpoint, "http://seaweedfs.kubeflow:8333");
    let mend = "access key";
    let found = said.lines().find_map(|line| {
        let from = line.find("s3://mlpipeline")?;
        let to = from + line[from..].find(mend)? + mend.len();
        Some(line[from..to].to_owned())
    });
    found.unwrap_or_else(|| panic!("nothing of the store: {said}"))
}

#[test]
fn the_store_denies_what_the_page_says_it_denies() {
    let page = read(&root().join(ENGLISH).join("troubleshooting.md"));
    let (store, key) = Store::start("kubeflow-user-example-com").unwrap();
    let folder = TempDir::new().unwrap();
    let mut server = Command::new(built("decima-server").unwrap());
    server.args(["--model-repository", "s3://mlpipeline/models", "--host=127.0.0.1", "--http-port=0"]);
    server.args(["--grpc-port=0", "--startup-timeout=1s"]).envs(store.variables(&key));
    server.env("DECIMA_MODEL_CACHE_DIR", folder.path());
    let told = of_the_store(&said(&mut server), &store);
    assert!(page.contains(&told), "troubleshooting.md does not quote the server: {told}");

    let mut trainer = Command::new(built("decima-trainer").unwrap());
    trainer.arg("publish").arg("--model").arg(root().join("models/digits/1/model.onnx"));
    trainer.args(["--to", "s3://mlpipeline/models/digits"]).envs(store.variables(&key));
    let told = of_the_store(&said(&mut trainer), &store);
    assert!(page.contains(&told), "troubleshooting.md does not quote the trainer: {told}");
}
