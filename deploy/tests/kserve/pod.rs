//! A predictor's pod: our server and, before it, KServe's agent. They share a network, as the containers of a pod do.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use deploy_tests::{
    images,
    podman::{CONFINED, Container},
    programs::{cached, root, wait_for},
};
use serde_json::Value;

/// The probe that KServe's webhook copies from the server's container for the agent, which does not start without one.
const PROBE: &str = r#"SERVING_READINESS_PROBE={"tcpSocket":{"port":8080},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}"#;

pub(crate) struct Pod {
    // before the server, so that it is removed first: it is in the server's network
    agent: Option<Container>,
    server: Container,
}

impl Pod {
    /// The server alone, ready, on a folder of models.
    pub(crate) fn start(models: &Path, args: &[&str]) -> Result<Self> {
        let mount = format!("{}:/mnt/models:ro", fs::canonicalize(models)?.display());
        let mut run = CONFINED.to_vec();
        run.extend(["--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::9081"]);
        run.extend(["--env", "INFERENCE_SERVICE_NAME=digits", "--volume", &mount, images::server()?]);
        run.extend(args);
        let pod = Self { agent: None, server: Container::start(&run)? };
        let ready = format!("{}/v2/health/ready", pod.server()?);
        wait_for("decima-server", 30, || Ok(ureq::get(&ready).call()?)).with_context(|| pod.logs())?;
        Ok(pod)
    }

    /// Starts the agent beside the server, and waits until it says that the server is ready.
    pub(crate) fn add_agent(&mut self, options: &[&str], args: &[&str]) -> Result<()> {
        let program = program("agent")?;
        let network = self.server.network();
        let mut run = CONFINED.to_vec();
        run.extend(["--network", &network, "--env", PROBE, "--entrypoint", "/agent", "--volume", &program]);
        run.extend(options);
        run.push(images::base()?);
        run.extend(args);
        self.agent = Some(Container::start(&run)?);
        wait_for("KServe's agent", 60, || self.probe_agent()).with_context(|| self.logs())
    }

    /// Asks the agent whether the server is ready, as the kubelet does by the probe that KServe gives the agent.
    pub(crate) fn probe_agent(&self) -> Result<()> {
        let probe = ureq::get(self.agent()?).header("user-agent", "kube-probe/1.36");
        let mut answer = probe.header("k-network-probe", "queue").call()?;
        let answer = answer.body_mut().read_to_string()?;
        ensure!(answer == "queue", "it answers {answer}");
        Ok(())
    }

    /// The address that the server publishes.
    pub(crate) fn server(&self) -> Result<String> {
        Ok(format!("http://{}", self.server.address(8080)?))
    }

    /// The address that the agent publishes.
    pub(crate) fn agent(&self) -> Result<String> {
        Ok(format!("http://{}", self.server.address(9081)?))
    }

    /// The server's address for other containers.
    pub(crate) fn inside(&self) -> Result<String> {
        Ok(format!("http://{}:8080", self.server.inspect("{{.NetworkSettings.IPAddress}}")?))
    }

    /// This machine's address for the pod.
    pub(crate) fn machine(&self) -> Result<String> {
        self.server.inspect("{{.NetworkSettings.Gateway}}")
    }

    /// What the containers have said, for an error.
    pub(crate) fn logs(&self) -> String {
        let agent = self.agent.as_ref().map_or_else(String::new, Container::logs);
        format!("server: {}\nagent: {agent}", self.server.logs())
    }
}

/// A program of KServe's as a volume, at the root.
pub(crate) fn program(name: &str) -> Result<String> {
    Ok(format!("{}:/{name}:ro", cached("kserve", &format!("kserve/{name}"))?.display()))
}

/// Posts JSON; status and answer, whatever they are.
pub(crate) fn post(url: &str, body: &Value) -> Result<(u16, Value)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::from(config).post(url).header("content-type", "application/json");
    let mut answer = request.send(body.to_string())?;
    let text = answer.body_mut().read_to_string()?;
    let status = answer.status().as_u16();
    let body = serde_json::from_str(&text).with_context(|| format!("{url}: {status} {text}"))?;
    Ok((status, body))
}

/// A file beside the digits as JSON.
pub(crate) fn example(name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(root().join("models/digits").join(name))?)?)
}

/// The digit that an answer of V2 gives the greatest probability.
pub(crate) fn digit(answer: &Value) -> Result<usize> {
    let probabilities: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone())
        .with_context(|| format!("no probabilities: {answer}"))?;
    ensure!(probabilities.len() == 10, "{answer}");
    let greatest = probabilities.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
    greatest.map(|(digit, _)| digit).context("ten of them")
}
