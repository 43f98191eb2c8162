//! Runs the pipeline with the local runner of Kubeflow Pipelines on Podman, with our images and with Kubeflow's object
//! store, accessed by a profile's key.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use deploy_tests::{
    images,
    podman::program,
    programs::{built, cached, root, run, wait_for},
    store::{Key, Store, free_ports},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A process that is killed when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts Podman's service with Docker's API. Returns its process and the address of its socket.
fn docker(folder: &Path) -> (Process, String) {
    let socket = format!("unix://{}", folder.join("podman.sock").display());
    let mut service = program("podman").unwrap();
    service.args(["system", "service", "--time=0", &socket]).stdin(Stdio::null());
    let service = Process(service.spawn().unwrap());
    wait_for("Podman's service", 30, || {
        anyhow::ensure!(folder.join("podman.sock").exists(), "no socket");
        Ok(())
    })
    .unwrap();
    (service, socket)
}

/// The results of a run of the pipeline: the folder of each step.
struct Run {
    steps: BTreeMap<String, PathBuf>,
    /// The output of the runner.
    log: String,
}

impl Run {
    /// The results that a step wrote for Pipelines.
    fn output(&self, step: &str) -> Value {
        let folder = self.steps.get(step).unwrap_or_else(|| panic!("{step} did not run: {}", self.log));
        let file = fs::read(folder.join("executor_output.json")).unwrap();
        serde_json::from_slice(&file).unwrap()
    }

    fn parameter(&self, step: &str, name: &str) -> Value {
        self.output(step)["parameterValues"][name].clone()
    }

    fn metadata(&self, step: &str, artifact: &str) -> Value {
        self.output(step)["artifacts"][artifact]["artifacts"][0]["metadata"].clone()
    }

    fn text(&self, step: &str, artifact: &str) -> String {
        fs::read_to_string(self.steps[step].join(artifact)).unwrap()
    }
}

/// Everything that runs of the pipeline need: the store, its key, and Podman's service.
struct Place {
    folder: TempDir,
    _service: Process,
    socket: String,
    store: Store,
    key: Key,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (service, socket) = docker(folder.path());
        let (store, key) = Store::start("alice").unwrap();
        Self { folder, _service: service, socket, store, key }
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Run {
        let root_of_run = self.folder.path().join(name);
        let mut python = Command::new(cached("kfp", "venv-kfp/bin/python").unwrap());
        python.arg(root().join("deploy/pipeline/run_local.py")).env("DOCKER_HOST", &self.socket);
        python.args(["--trainer", images::trainer().unwrap(), "--root"]).arg(&root_of_run);
        for (name, value) in self.store.variables(&self.key) {
            python.arg(format!("--environment={name}={value}"));
        }
        let fixed = ["namespace=alice", "source=s3://mlpipeline/private/alice/mnist", "dry_run=true"];
        let log = run(python.args(fixed).args(arguments)).unwrap();
        let pipeline = fs::read_dir(&root_of_run).unwrap().next().unwrap().unwrap().path();
        let steps = fs::read_dir(pipeline).unwrap().map(|entry| entry.unwrap().path());
        let steps =
            steps.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
        Run { steps, log }
    }
}

/// The digit of the example as a BMP, black on white, with each pixel enlarged to a square of side `scale`.
fn bitmap(scale: usize) -> Vec<u8> {
    let example = fs::read_to_string(root().join("models/digits/example.json")).unwrap();
    let example: Value = serde_json::from_str(&example).unwrap();
    let points = example["inputs"][0]["data"].as_array().unwrap();
    let side = 28 * scale;
    // BMP stores rows from the bottom up, padded to a multiple of four bytes. 28 pixels of three bytes need no padding.
    let mut picture = b"BM".to_vec();
    let size = 54 + 3 * side * side;
    let head = [size, 0, 54, 40, side, side, 1 | 24 << 16, 0, 3 * side * side, 2835, 2835, 0, 0];
    picture.extend(head.iter().flat_map(|number| (*number as u32).to_le_bytes()));
    for (row, column) in (0..side).rev().flat_map(|row| (0..side).map(move |column| (row, column))) {
        let ink = points[row / scale][column / scale].as_u64().unwrap() as u8;
        picture.extend([255 - ink; 3]);
    }
    picture
}

/// Starts a server on the profile's models, sends it the example, and returns its response.
fn served_digit(place: &Place) -> Value {
    let [port] = free_ports().unwrap();
    let cache = place.folder.path().join("cache");
    let server = Command::new(built("decima-server").unwrap())
        .args(["--model-repository", "s3://mlpipeline/private/alice/models", "--host", "127.0.0.1"])
        .args(["--grpc-port", "0", "--http-port", &port.to_string()])
        .envs(place.store.variables(&place.key))
        .env("DECIMA_MODEL_CACHE_DIR", cache)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Process(server);
    let at = |path: &str| format!("http://127.0.0.1:{port}/v2/{path}");
    wait_for("decima-server", 60, || Ok(ureq::get(at("health/ready")).call()?)).unwrap();
    let example = fs::read_to_string(root().join("models/digits/example.json")).unwrap();
    let answer =
        ureq::post(at("models/digits/infer")).send(example).unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn the_pipeline_trains_and_publishes_a_model_unless_the_gate_says_no() {
    let place = Place::new();
    let synth = place.folder.path().join("synth");
    let trainer = built("decima-trainer").unwrap();
    run(Command::new(trainer).args(["synth", "--train", "2500", "--test", "400", "--out"]).arg(&synth))
        .unwrap();
    for file in fs::read_dir(&synth).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        place.store.put(&place.key, &format!("private/alice/mnist/{name}"), &path).unwrap();
    }
    // A picture that somebody corrected.
    let corrected = place.folder.path().join("seven.bmp");
    fs::write(&corrected, bitmap(5)).unwrap();
    place.store.put(&place.key, "private/alice/feedback/7/seven.bmp", &corrected).unwrap();

    let first = place.run("first", &["epochs=3", "threshold=0.5"]);
    assert_eq!(first.parameter("prepare", "train_pictures"), 2500, "{}", first.log);
    assert_eq!(first.parameter("latest", "pictures_used"), 1);
    assert!(first.parameter("latest", "train_pictures").as_u64().unwrap() > 2500);
    let accuracy = first.parameter("evaluate", "accuracy").as_f64().unwrap();
    assert!(accuracy > 0.7, "{accuracy}");
    assert_eq!(first.metadata("evaluate", "metrics")["accuracy"], accuracy);
    let confusion = first.metadata("evaluate", "confusion");
    assert_eq!(confusion["confusionMatrix"]["rows"].as_array().unwrap().len(), 10);
    assert!(first.text("evaluate", "report").starts_with("<!DOCTYPE html>"));
    assert!(first.text("evaluate", "summary").contains("| **All** |  | **70122** |"));
    assert_eq!(first.metadata("train", "weights")["optimizer"], "adamw");
    assert_eq!(first.parameter("gate", "decision"), "true");
    assert_eq!(first.parameter("publish", "version"), "1");
    // With `dry_run`, the last step prints the service that it would apply.
    let named = "--model-repository=s3://mlpipeline/private/alice/models";
    assert!(first.log.contains("kind: InferenceService") && first.log.contains(named), "{}", first.log);
    let answer = served_digit(&place);
    assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("digits"), &json!("1")));
    assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), 10, "{answer}");

    // A model that is worse than the served one, and below the threshold.
    let second =
        place.run("second", &["epochs=1", "optimizer=sgd", "learning_rate=0.000001", "threshold=0.95"]);
    assert_eq!(second.metadata("train", "weights")["optimizer"], "sgd", "{}", second.log);
    assert_eq!(second.parameter("gate", "decision"), "false");
    assert!(second.parameter("gate", "reason").as_str().unwrap().contains("below the threshold of 95.00 %"));
    assert_eq!(second.parameter("publish", "published"), "false");
    assert_eq!(second.parameter("deploy", "deployed"), "false");
    assert!(
        second.log.contains("not published: the gate said no")
            && second.log.contains("not deployed: the gate said no")
    );
    let published = place.store.list(&place.key, "private/alice/models/").unwrap();
    assert!(published.iter().all(|name| !name.contains("digits/2")) && published.len() == 3, "{published:?}");
}
