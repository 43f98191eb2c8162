//! What the manifests say, without running them.

use std::{fs, path::Path, time::Duration};

use decima_server::config::{ALL, Listen};
use serde_json::{Value, json};

use crate::{
    container::{Container, Probe},
    workspace::{kustomized, of_kind, read, root, runtime},
};

/// Grace period of a pod that does not set its own.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// Folders with an `InferenceService` whose container reads a bucket by itself.
pub(crate) const OVERLAYS: [&str; 3] = ["overlays/kubeflow", "overlays/standard", "overlays/knative"];

fn containers() -> impl Iterator<Item = (&'static str, Container)> {
    let services = OVERLAYS.map(|overlay| (overlay, Container::of_overlay(overlay)));
    services.into_iter().chain([("runtime", Container::of_runtime("some-name"))])
}

fn inference_service(overlay: &str) -> Value {
    of_kind(&kustomized(overlay), "InferenceService")
}

#[test]
fn every_flag_and_variable_is_the_servers() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let resolved = container.resolve(&environment.clone().into_iter().collect());
        assert!(resolved.warnings.is_empty(), "{kind}: {:?}", resolved.warnings);
        for name in environment.keys() {
            let mut changed = environment.clone();
            changed.insert(name.clone(), "another".to_owned());
            let is_read = match container.try_resolve(&changed.into_iter().collect()) {
                Ok(other) => other.config != resolved.config || other.to_toml() != resolved.to_toml(),
                Err(_) => true, // such as a word for a number
            };
            // A flag may outrank a variable that the server does read.
            let is_read = is_read || ALL.iter().any(|setting| setting.environment.contains(&name.as_str()));
            assert!(is_read, "{kind}: the server does not read {name}");
        }
    }
}

#[test]
fn ports_and_probes_are_where_the_server_listens() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let resolved = container.resolve(&environment.clone().into_iter().collect());
        let http = &resolved.config.http;
        // One port: Knative takes no more. Its name says the protocol.
        let [port] = &container.ports[..] else { panic!("{kind}: {:?}", container.ports) };
        assert_eq!((port.name.as_str(), port.container_port), ("http1", http.address.port()), "{kind}");
        assert!(http.address.ip().is_unspecified(), "{kind}: nobody could reach {}", http.address);
        for probe in container.probes() {
            let get = probe.http_get.as_ref().unwrap_or_else(|| panic!("{kind}: a probe is not httpGet"));
            assert_eq!(get.port, http.address.port(), "{kind}");
        }
        // The socket is open before the models are ready, so an httpGet on readiness must stand guard.
        assert_eq!(http.listen, Listen::Early, "{kind}");
        let path = |probe: &Option<_>| {
            probe.as_ref().and_then(|probe: &Probe| probe.http_get.as_ref().map(|get| get.path.clone()))
        };
        assert_eq!(path(&container.startup_probe).as_deref(), Some("/v2/health/ready"), "{kind}");
        assert_eq!(path(&container.readiness_probe).as_deref(), Some("/v2/health/ready"), "{kind}");
        assert_eq!(path(&container.liveness_probe).as_deref(), Some("/v2/health/live"), "{kind}");
    }
}

#[test]
fn the_drain_ends_before_the_pod_does() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let resolved = container.resolve(&environment.clone().into_iter().collect());
        assert!(resolved.config.drain.timeout < GRACE_PERIOD, "{kind}");
    }
    // Knative refuses a pod that sets its own.
    for overlay in OVERLAYS {
        let predictor = &inference_service(overlay)["spec"]["predictor"];
        assert!(predictor["terminationGracePeriodSeconds"].is_null(), "{overlay}");
    }
}

#[test]
fn containers_need_no_rights_and_write_to_tmp_alone() {
    let services = OVERLAYS.map(|overlay| inference_service(overlay)["spec"]["predictor"].clone());
    for spec in services.into_iter().chain([runtime()["spec"].clone()]) {
        let security = &spec["containers"][0]["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
        // The cluster gives any user: the image's own is numeric, or runAsNonRoot could not be checked.
        assert!(security["runAsUser"].is_null());
        let mount = &spec["containers"][0]["volumeMounts"][0];
        let volume = &spec["volumes"][0];
        assert_eq!((&mount["mountPath"], &mount["name"]), (&"/tmp".into(), &volume["name"]));
        assert!(volume["emptyDir"].is_object(), "{volume}");
        let resources = &spec["containers"][0]["resources"];
        for kind in ["requests", "limits"] {
            assert!(
                resources[kind]["cpu"].is_string() && resources[kind]["memory"].is_string(),
                "{resources}"
            );
        }
    }
}

#[test]
fn downloads_go_to_tmp() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let resolved = container.resolve(&environment.clone().into_iter().collect());
        assert!(resolved.config.models.cache_dir.starts_with("/tmp"), "{kind}: {:?}", resolved.config.models);
    }
}

#[test]
fn kubeflow_is_met_as_it_is() {
    const OVERLAY: &str = "overlays/kubeflow";
    let documents = kustomized(OVERLAY);
    let service = of_kind(&documents, "InferenceService");
    let namespace = service["metadata"]["namespace"].as_str().unwrap();
    // A profile's key may touch what is below its own prefix, and nothing else.
    let container = Container::of_overlay(OVERLAY);
    assert_eq!(container.args[0], format!("--model-repository=s3://mlpipeline/private/{namespace}/models"));
    assert_eq!(container.environment()["AWS_ENDPOINT_URL"], "http://seaweedfs.kubeflow:8333");
    // The mesh denies what no policy allows.
    let policy = of_kind(&documents, "AuthorizationPolicy");
    assert_eq!(policy["metadata"]["namespace"], namespace);
    let name = service["metadata"]["name"].as_str().unwrap();
    let selected = &policy["spec"]["selector"]["matchLabels"]["serving.knative.dev/service"];
    assert_eq!(*selected, format!("{name}-predictor"));
    let who = &policy["spec"]["rules"][0]["from"][0]["source"]["requestPrincipals"];
    assert_eq!(*who, json!([format!("*system:serviceaccount:{namespace}:default-editor")]));
    // Every object is in the profile's namespace: a user may make them nowhere else.
    for document in &documents {
        assert_eq!(document["metadata"]["namespace"], namespace, "{}", document["kind"]);
    }
}

#[test]
fn minio_is_reached_as_its_secret_says() {
    for overlay in ["overlays/standard", "overlays/knative"] {
        let documents = kustomized(overlay);
        let environment = Container::of_overlay(overlay).environment();
        let secret = of_kind(&documents, "Secret");
        let endpoint = secret["metadata"]["annotations"]["serving.kserve.io/s3-endpoint"].as_str().unwrap();
        assert_eq!(environment["AWS_ENDPOINT_URL"], format!("http://{endpoint}"));
        let account = of_kind(&documents, "ServiceAccount");
        assert_eq!(account["secrets"][0]["name"], secret["metadata"]["name"]);
    }
}

#[test]
fn policies_select_the_pods_of_the_service() {
    let documents = kustomized("overlays/standard");
    let service = of_kind(&documents, "InferenceService");
    let label = json!({"serving.kserve.io/inferenceservice": service["metadata"]["name"]});
    let budget = of_kind(&documents, "PodDisruptionBudget");
    assert_eq!(budget["spec"]["selector"]["matchLabels"], label);
    let network = of_kind(&documents, "NetworkPolicy");
    assert_eq!(network["spec"]["podSelector"]["matchLabels"], label);
    let [port] = &Container::of_overlay("overlays/standard").ports[..] else { panic!("one port") };
    assert_eq!(network["spec"]["ingress"][0]["ports"][0]["port"], port.container_port);
}

#[test]
fn the_image_has_this_version() {
    for (kind, container) in containers() {
        assert_eq!(container.image, format!("decima-server:{}", env!("CARGO_PKG_VERSION")), "{kind}");
    }
}

#[test]
fn every_image_of_ours_is_one_that_the_readme_builds() {
    let readme = read("deploy/README.md");
    let built: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("docker build"))
        .filter_map(|line| line.split("--tag ").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(built.len(), 3, "{built:?}");
    let mut found = 0;
    for (file, text) in texts(&root().join("deploy")) {
        let of_image = |c: char| c.is_ascii_alphanumeric() || ":.-".contains(c);
        for word in text.split(|c| !of_image(c)) {
            if word.starts_with("decima-server:") || word.starts_with("decima-trainer:") {
                found += 1;
                assert!(built.contains(&word), "{file} needs {word}, which deploy/README.md does not build");
            }
        }
    }
    assert!(found > 10, "{found}");
}

/// The YAML files below a folder, and what is in them.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.flat_map(|path| {
        if path.is_dir() {
            return texts(&path);
        }
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        is_yaml
            .then(|| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
            .into_iter()
            .collect()
    });
    texts.collect()
}

#[test]
fn the_readme_names_folders_and_files_that_exist() {
    let text = read("deploy/README.md");
    let words = text.split(['`', ' ', '\n', '(', ')']);
    let names: Vec<&str> = words
        .filter(|word| {
            word.starts_with("deploy/") || word.starts_with("kserve/") || word.starts_with("docker/")
        })
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let path =
            root().join("deploy").join(name.trim_start_matches("deploy/").trim_end_matches(['.', ',', ':']));
        assert!(path.exists(), "deploy/README.md names {name}");
    }
}
