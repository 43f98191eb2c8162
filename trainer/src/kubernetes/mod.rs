//! Applies an `InferenceService` to a cluster and waits until it is ready.

mod failure;
mod manifest;
mod state;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::Value;

pub use manifest::{Source, manifest};

use crate::console;

/// The field manager under which the fields are applied (see Kubernetes' server-side apply).
const FIELD_MANAGER: &str = "decima-trainer";
/// Time between two queries for the state of a service.
const POLL: Duration = Duration::from_secs(2);
/// Time limit of one request to the API server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to one namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    /// Address of the API server.
    server: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({}, {})", self.server, self.namespace)
    }
}

impl Cluster {
    /// Connects with the kubeconfig or, in a pod, with the pod's service account.
    ///
    /// # Errors
    /// When there is neither, or the one found cannot be used.
    pub async fn find(namespace: Option<&str>) -> Result<Self> {
        let mut config = Config::infer().await.map_err(|error| failure::no_cluster(&error))?;
        config.connect_timeout = Some(REQUEST_TIMEOUT);
        config.read_timeout = Some(REQUEST_TIMEOUT);
        let server = config.cluster_url.to_string();
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        let client =
            Client::try_from(config).with_context(|| format!("cannot connect to the cluster at {server}"))?;
        Ok(Self { client, namespace, server })
    }

    /// Name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Applies a service, as `kubectl apply --server-side` does. Unless `force` is set, a field that another manager
    /// owns with another value is an error.
    ///
    /// # Errors
    /// When the cluster cannot be reached, has no KServe, gives this account no permission, or refuses the service.
    pub async fn apply(&self, service: &Value, force: bool) -> Result<()> {
        let service = manifest::in_namespace(service, &self.namespace);
        let name = service["metadata"]["name"].as_str().context("a service has a name")?;
        let parameters = PatchParams { force, ..PatchParams::apply(FIELD_MANAGER) }.validation_strict();
        let applied = self.services().patch(name, &parameters, &Patch::Apply(&service)).await;
        applied.map(drop).map_err(|error| self.explain(error, "apply"))
    }

    /// Waits until a service is ready, and prints what it is waiting for. Returns the service's address.
    ///
    /// # Errors
    /// When it is not ready in time. The message has the reasons that the service and its pods report.
    pub async fn wait_until_ready(&self, name: &str, deadline: Instant) -> Result<Option<String>> {
        let start = Instant::now();
        let mut told = Vec::new();
        loop {
            let service = self.services().get(name).await.map_err(|error| self.explain(error, "get"))?;
            let service = serde_json::to_value(service)?;
            if state::is_ready(&service) {
                return Ok(state::address(&service));
            }
            let reasons = state::reasons(&service, &self.pods(name).await);
            if Instant::now() + POLL > deadline {
                let waited = humantime::format_duration(Duration::from_secs(start.elapsed().as_secs()));
                let why = if reasons.is_empty() {
                    "it has no status: is KServe's controller running (namespace kserve or kubeflow)?"
                        .to_owned()
                } else {
                    reasons.join("\n  ")
                };
                bail!("{}/{name} is not ready after {waited}:\n  {why}", self.namespace);
            }
            if reasons != told {
                let elapsed = start.elapsed().as_secs();
                for reason in &reasons {
                    console::progress(&format!("{elapsed:>4} s  {reason}"));
                }
                told = reasons;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The pods of a service. They only help to explain a failure, so without permission to list them it returns none.
    async fn pods(&self, name: &str) -> Vec<Value> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods");
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let selected =
            ListParams::default().labels(&format!("serving.kserve.io/inferenceservice={name}")).limit(20);
        let pods = api.list(&selected).await.map(|list| list.items).unwrap_or_default();
        pods.into_iter().filter_map(|pod| serde_json::to_value(pod).ok()).collect()
    }

    fn services(&self) -> Api<DynamicObject> {
        let (group, version) = manifest::API_VERSION.split_once('/').unwrap_or(("", manifest::API_VERSION));
        let kind = GroupVersionKind::gvk(group, version, manifest::KIND);
        let resource = ApiResource::from_gvk_with_plural(&kind, "inferenceservices");
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn explain(&self, error: kube::Error, doing: &str) -> anyhow::Error {
        failure::explain(error, doing, &self.namespace, &self.server)
    }
}
