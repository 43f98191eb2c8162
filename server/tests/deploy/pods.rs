//! The pods that `KServe` makes: the server is started with the environment, the arguments and the mounts
//! of each, and answers under the name that `KServe`'s clients use.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use storage::testkit::Minio;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    container::{Container, Mount, Variable},
    manifests::OVERLAYS,
    program::Program,
    workspace::{kserve_folder, root, runtime},
};

/// Where `KServe` mounts a model that it downloaded.
const MOUNT: &str = "/mnt/models";

/// Where pods say that the store is, for which a test has one of its own: our manifests for Kubeflow and for a MinIO.
const ENDPOINTS: [&str; 2] = ["http://seaweedfs.kubeflow:8333", "http://minio.minio:9000"];

/// Where pods say that models are: bucket and prefix.
const REPOSITORIES: [(&str, &str); 3] =
    [("mlpipeline", "private/kubeflow-user-example-com/models/"), ("mlpipeline", "models/"), ("models", "")];

/// What a cluster provides: the bucket, and the volume that the storage initializer filled.
struct Cluster {
    runtime: Runtime,
    minio: Minio,
    volume: TempDir,
    scratch: TempDir,
}

impl Cluster {
    /// A cluster whose buckets have the digits model wherever a pod looks for it, and whose volume has what the
    /// storage initializer makes of it.
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let minio = runtime.block_on(async {
            let minio = Minio::start().await;
            for bucket in ["mlpipeline", "models"] {
                minio.create_bucket(bucket).await;
            }
            for (bucket, prefix) in REPOSITORIES {
                for (key, file) in digits() {
                    minio.put(bucket, &format!("{prefix}digits/{key}"), fs::read(file).unwrap()).await;
                }
            }
            minio
        });
        let volume = TempDir::new().unwrap();
        for (key, file) in digits() {
            let path = volume.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(file, path).unwrap();
        }
        Self { runtime, minio, volume, scratch: TempDir::new().unwrap() }
    }

    /// Starts the server as the pod's container would run here.
    fn start(&self, container: &Container) -> Program {
        let mounted = container.volume_mounts.iter().any(|mount| mount.mount_path == MOUNT);
        let here = |text: &str| {
            let endpoint = self.minio.endpoint();
            let text = ENDPOINTS.iter().fold(text.to_owned(), |text, there| text.replace(there, &endpoint));
            if mounted { text.replace(MOUNT, &self.volume.path().to_string_lossy()) } else { text }
        };
        let args: Vec<String> = container.args.iter().map(|arg| here(arg)).collect();
        let mut environment = container.environment();
        for value in environment.values_mut() {
            *value = here(value);
        }
        environment.insert("TMPDIR".into(), self.scratch.path().to_string_lossy().into_owned());
        Program::start(&args, &environment)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The store's process belongs to this runtime.
        self.runtime.block_on(self.minio.stop());
    }
}

/// The files of the shipped digits model, by their paths in a repository.
fn digits() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let folder = root().join("models/digits");
    let mut files = Vec::new();
    walk(&folder, &mut files);
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// Asks for what `KServe`'s clients ask for: the server's and the model's readiness, and a prediction.
fn check_answers(server: &Program, model: &str) {
    assert_eq!(server.get("/v2/health/ready").0, 200);
    let (status, body) = server.get(&format!("/v2/models/{model}/ready"));
    assert_eq!(status, 200, "{body}");
    let picture =
        json!({"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": vec![0.5; 784]});
    let request = json!({"inputs": [picture]}).to_string();
    let (status, body) = server.post(&format!("/v2/models/{model}/infer"), &request);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["model_name"], model);
    assert_eq!(answer["outputs"][0]["shape"], json!([1, 10]));
    let request = json!({"instances": [vec![vec![[0.5]; 28]; 28]]}).to_string();
    let (status, body) = server.post(&format!("/v1/models/{model}:predict"), &request);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["predictions"][0].as_array().unwrap().len(), 10);
}

/// Position of a message in the log.
fn position(server: &Program, message: &str) -> usize {
    let found = server.messages.iter().position(|line| line == message);
    found.unwrap_or_else(|| panic!("'{message}' is not in {:?}", server.messages))
}

#[test]
fn the_pods_that_kserve_makes_answer() {
    let Some(folder) = kserve_folder() else { return };
    let pods = fs::read_to_string(folder.join("pods-v0.20.0.json")).unwrap();
    let pods: serde_json::Map<String, Value> = serde_json::from_str(&pods).unwrap();
    let ours = Container::of_overlay("overlays/kubeflow");
    let cluster = Cluster::new();
    for (name, pod) in &pods {
        let mut container = Container::server(&pod["spec"]);
        let service = pod["metadata"]["labels"]["serving.kserve.io/inferenceservice"].as_str().unwrap();
        // KServe gives a custom container no credentials: its manifest must, as ours does.
        if container.args.iter().any(|arg| arg.contains("s3://")) {
            container.env.extend(ours.env.iter().filter(|variable| is_storage(variable)).cloned());
            container.secret = ours.secret.clone();
        }
        let server = cluster.start(&container);
        check_answers(&server, service);
        // These pods have KServe's own probe, a TCP connect: no connection before the models are ready.
        assert!(container.readiness_probe.is_some_and(|probe| probe.http_get.is_none()), "{name}");
        assert!(
            position(&server, "model ready") < position(&server, "listening"),
            "{name}: {:?}",
            server.messages
        );
    }
    assert_eq!(pods.len(), 3);
}

#[test]
fn the_pods_of_our_manifests_answer() {
    let cluster = Cluster::new();
    let services = OVERLAYS.map(|overlay| (Container::of_overlay(overlay), "digits"));
    let mut container = Container::of_runtime("digits-rt");
    // KServe mounts the volume into the runtime's container.
    container.volume_mounts.push(Mount { mount_path: MOUNT.into() });
    for (container, model) in services.into_iter().chain([(container, "digits-rt")]) {
        let server = cluster.start(&container);
        check_answers(&server, model);
        for probe in container.probes() {
            let path = &probe.http_get.as_ref().unwrap().path;
            assert_eq!(server.get(path).0, 200, "{model}: {path}");
        }
        for protocol in runtime()["spec"]["protocolVersions"].as_array().unwrap() {
            let answers = match protocol.as_str().unwrap() {
                "v1" => server.get(&format!("/v1/models/{model}")).0 == 200,
                "v2" => server.get(&format!("/v2/models/{model}")).0 == 200,
                "grpc-v2" => server.is_ready_over_grpc(model),
                other => panic!("the manifest promises {other}, which nothing here checks"),
            };
            assert!(answers, "{model}: {protocol}");
        }
        // The socket opens at once, so that liveness holds while the models load.
        assert!(position(&server, "listening") < position(&server, "model ready"), "{:?}", server.messages);
    }
    let annotations = &runtime()["spec"]["annotations"];
    let server = cluster.start(&Container::of_overlay("overlays/standard"));
    assert_eq!(annotations["prometheus.kserve.io/port"], "8080");
    assert_eq!(server.get(annotations["prometheus.kserve.io/path"].as_str().unwrap()).0, 200);
}

/// Whether a variable says where the bucket is, or with which keys.
fn is_storage(variable: &Variable) -> bool {
    variable.name.starts_with("AWS_")
}
