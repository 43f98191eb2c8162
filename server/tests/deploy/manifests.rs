//! What the manifests say, without running them.

use std::{cell::RefCell, collections::BTreeSet, path::Path, time::Duration};

use decima_server::config::Listen;

use crate::{
    container::{Container, Probe},
    workspace::{manifest, read, root},
};

/// Grace period of a pod that does not set its own.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

fn containers() -> [(&'static str, Container); 2] {
    [
        ("InferenceService", Container::of_inference_service().0),
        ("ClusterServingRuntime", Container::of_runtime("some-name")),
    ]
}

#[test]
fn every_flag_and_variable_is_the_servers() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let asked = RefCell::new(BTreeSet::new());
        let resolved = container.resolve(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            environment.get(name).cloned()
        });
        assert!(resolved.warnings.is_empty(), "{kind}: {:?}", resolved.warnings);
        for name in environment.keys() {
            assert!(asked.borrow().contains(name), "{kind}: the server never reads {name}");
        }
    }
}

#[test]
fn ports_and_probes_are_where_the_server_listens() {
    for (kind, container) in containers() {
        let environment = container.environment();
        let resolved = container.resolve(&|name| environment.get(name).cloned());
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
        let resolved = container.resolve(&|name| environment.get(name).cloned());
        assert!(resolved.config.drain.timeout < GRACE_PERIOD, "{kind}");
    }
    // Knative refuses a pod that sets its own.
    let predictor = &manifest("InferenceService")["spec"]["predictor"];
    assert!(predictor["terminationGracePeriodSeconds"].is_null());
}

#[test]
fn containers_need_no_rights_and_write_to_tmp_alone() {
    let pods = [
        manifest("InferenceService")["spec"]["predictor"].clone(),
        manifest("ClusterServingRuntime")["spec"].clone(),
    ];
    for spec in pods {
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
    let (container, _) = Container::of_inference_service();
    let environment = container.environment();
    let resolved = container.resolve(&|name| environment.get(name).cloned());
    assert!(resolved.config.models.cache_dir.starts_with("/tmp"), "{:?}", resolved.config.models);
}

#[test]
fn minio_is_reached_as_kubeflow_has_it() {
    let (container, _) = Container::of_inference_service();
    let environment = container.environment();
    assert_eq!(environment["AWS_ACCESS_KEY_ID"], "minio");
    assert_eq!(environment["AWS_SECRET_ACCESS_KEY"], "minio123");
    assert_eq!(container.args[0], "--model-repository=s3://mlpipeline/models");
    let secret = manifest("Secret");
    let endpoint = secret["metadata"]["annotations"]["serving.kserve.io/s3-endpoint"].as_str().unwrap();
    assert_eq!(environment["AWS_ENDPOINT_URL"], format!("http://{endpoint}"));
    let account = manifest("ServiceAccount");
    assert_eq!(account["secrets"][0]["name"], secret["metadata"]["name"]);
    let service = manifest("InferenceService");
    assert_eq!(service["spec"]["predictor"]["serviceAccountName"], account["metadata"]["name"]);
}

#[test]
fn the_image_has_this_version() {
    for (kind, container) in containers() {
        assert_eq!(container.image, format!("decima-server:{}", env!("CARGO_PKG_VERSION")), "{kind}");
    }
}

#[test]
fn the_readme_names_files_that_exist() {
    let text = read("deploy/README.md");
    let is_file = |word: &&str| Path::new(word).extension().is_some_and(|extension| extension == "yaml");
    let names: Vec<&str> = text.split(['`', ' ', '\n']).filter(is_file).collect();
    assert_eq!(names.len(), 5);
    for name in names {
        let path = root().join("deploy").join(name.trim_start_matches("deploy/"));
        assert!(path.is_file(), "deploy/README.md names {name}");
    }
}
