//! A pod's container, as far as the server has to do with it.

use std::collections::BTreeMap;

use decima_server::{
    cli::Args,
    config::{Config, ConfigError, Host, Resolved},
    platform::environment::Environment,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::workspace::{kustomized, of_kind, runtime};

/// What a pod says of a container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: Vec<Variable>,
    #[serde(default)]
    pub(crate) ports: Vec<Port>,
    #[serde(default)]
    pub(crate) volume_mounts: Vec<Mount>,
    pub(crate) readiness_probe: Option<Probe>,
    pub(crate) startup_probe: Option<Probe>,
    pub(crate) liveness_probe: Option<Probe>,
    /// The Secret that its variables refer to.
    #[serde(skip)]
    pub(crate) secret: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) value_from: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) container_port: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) mount_path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) http_get: Option<HttpGet>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HttpGet {
    pub(crate) path: String,
    pub(crate) port: u16,
}

impl Container {
    /// The container with the server of a pod's `spec`.
    pub(crate) fn server(spec: &Value) -> Self {
        let containers: Vec<Value> = serde_json::from_value(spec["containers"].clone()).unwrap();
        let server = containers.into_iter().find(|container| container["name"] == "kserve-container");
        serde_json::from_value(server.expect("KServe knows the server's container by its name")).unwrap()
    }

    /// The container of an overlay's `InferenceService`, with the variable that `KServe` adds, and the keys that its
    /// Secret has.
    pub(crate) fn of_overlay(overlay: &str) -> Self {
        let documents = kustomized(overlay);
        let service = of_kind(&documents, "InferenceService");
        let name = service["metadata"]["name"].as_str().unwrap();
        let mut container = Self::server(&service["spec"]["predictor"]).with_service_name(name);
        container.secret = documents
            .into_iter()
            .find(|document| document["kind"] == "Secret")
            // Kubeflow makes this one in every profile's namespace.
            .unwrap_or_else(|| {
                json!({
                    "metadata": {"name": "mlpipeline-minio-artifact"},
                    "stringData": {"accesskey": "minio", "secretkey": "minio123"},
                })
            });
        container
    }

    /// The container of our `ClusterServingRuntime`, as `KServe` makes it for a service of this name.
    pub(crate) fn of_runtime(service: &str) -> Self {
        let mut container = Self::server(&runtime()["spec"]).with_service_name(service);
        for arg in &mut container.args {
            *arg = arg.replace("{{.Name}}", service);
        }
        container
    }

    fn with_service_name(mut self, name: &str) -> Self {
        let (name, value_from) = (Some(name.to_owned()), None);
        self.env.push(Variable { name: "INFERENCE_SERVICE_NAME".into(), value: name, value_from });
        self
    }

    /// The environment, with keys of the Secret where it refers to them.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let secret = &self.secret;
        let value = |variable: &Variable| {
            let Some(from) = &variable.value_from else { return variable.value.clone().unwrap_or_default() };
            let reference = &from["secretKeyRef"];
            assert_eq!(reference["name"], secret["metadata"]["name"], "{}: an unknown Secret", variable.name);
            let key = reference["key"].as_str().unwrap();
            let value = secret["stringData"][key].as_str();
            value.unwrap_or_else(|| panic!("{}: the Secret has no key {key}", variable.name)).to_owned()
        };
        self.env.iter().map(|variable| (variable.name.clone(), value(variable))).collect()
    }

    /// The settings that the server makes of the arguments and the environment.
    pub(crate) fn resolve(&self, environment: &Environment) -> Resolved {
        self.try_resolve(environment).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, or what the server says against it.
    pub(crate) fn try_resolve(&self, environment: &Environment) -> Result<Resolved, ConfigError> {
        let line = std::iter::once("decima-server").chain(self.args.iter().map(String::as_str));
        let args = Args::parse(line).unwrap_or_else(|error| panic!("{:?}: {error}", self.args));
        Config::load(&args.flags, environment, &Host::detect())
    }

    /// The probes that it has.
    pub(crate) fn probes(&self) -> impl Iterator<Item = &Probe> {
        [&self.startup_probe, &self.readiness_probe, &self.liveness_probe].into_iter().flatten()
    }
}
