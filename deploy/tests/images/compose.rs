//! Starts and stops the compose file: the server serves what the trainer publishes, and Prometheus scrapes it.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use deploy_tests::{
    images,
    podman::{podman, program},
    programs::{cached, root, run, wait_for},
    prometheus::{Query, get, queries, query},
};
use serde_json::Value;

/// The running services of the compose file, under a project name of their own. Dropping it stops them.
struct Stack {
    name: String,
}

impl Stack {
    /// Starts the services as `make stack` does, with local images and free ports.
    fn up() -> Result<Self> {
        let stack = Self { name: format!("decima-test-{}", std::process::id()) };
        run(stack
            .script("up")?
            .env("SERVER_IMAGE", images::server()?)
            .env("TRAINER_IMAGE", images::trainer()?)
            .env("STORE_IMAGE", images::seaweedfs()?)
            .env("PROMETHEUS_IMAGE", images::prometheus()?))?;
        Ok(stack)
    }

    fn script(&self, command: &str) -> Result<Command> {
        let mut script = Command::new(root().join("scripts/stack"));
        script
            .arg(command)
            .env("CONTAINERS_CONF", cached("podman", "podman/containers.conf")?)
            .env("COMPOSE", cached("compose", "venv-compose/bin/podman-compose")?)
            .env("COMPOSE_PROJECT_NAME", &self.name)
            .envs([("DECIMA_PORT", ""), ("PROMETHEUS_PORT", ""), ("DECIMA_EPOCHS", "1")]);
        Ok(script)
    }

    fn url(&self, service: &str, port: u16) -> Result<String> {
        let address = podman(&["port", &self.container(service), &port.to_string()]);
        Ok(format!("http://{}", address.with_context(|| self.logs(service))?))
    }

    fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.name)
    }

    fn logs(&self, service: &str) -> String {
        let output = program("podman").and_then(|mut podman| {
            Ok(podman.args(["logs", "--tail", "30", &self.container(service)]).output()?)
        });
        output.map_or_else(|error| error.to_string(), |output| format!("{service}: {output:?}"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // There is nothing to do if it fails.
        let _ = self.script("down").and_then(|mut down| run(&mut down));
    }
}

#[test]
fn what_the_stack_trains_is_served_and_watched() -> Result<()> {
    let stack = Stack::up()?;
    let server = stack.url("server", 8080)?;
    wait_for("the server", 60, || get(&format!("{server}/v2/models/digits")))
        .with_context(|| stack.logs("server"))?;
    let metadata = get(&format!("{server}/v2/models/digits"))?;
    assert_eq!(metadata["versions"], serde_json::json!(["1"]));

    let example = fs::read_to_string(root().join("models/digits/example.json"))?;
    let mut answer = ureq::post(format!("{server}/v2/models/digits/infer")).send(example)?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    let probabilities: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone())?;
    let seven = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(digit, _)| digit);
    assert_eq!(seven, Some(7), "{probabilities:?}");

    let prometheus = stack.url("prometheus", 9090)?;
    let answered = r#"decima_request_duration_seconds_count{model="digits",job="decima"}"#;
    let scraped = || {
        let series = query(&prometheus, answered)?;
        let is_counted = series.iter().any(|series| series["value"][1] == "1");
        is_counted.then_some(()).with_context(|| format!("{series:?}"))
    };
    wait_for("Prometheus' scrape of the server", 60, scraped)
        .with_context(|| [stack.logs("prometheus"), stack.logs("server")].concat())?;

    // Grafana is not run here, but what its panels ask is. Prometheus knows the alerts.
    for Query { panel, expression } in queries("1m")? {
        query(&prometheus, &expression).with_context(|| panel)?;
    }
    let rules = get(&format!("{prometheus}/api/v1/rules?type=alert"))?;
    let groups = rules["data"]["groups"].as_array().context("no groups of rules")?;
    assert!(groups.iter().any(|group| group["name"] == "decima"), "{rules}");

    // Stopping removes everything.
    let mine = format!("name={}", stack.name);
    drop(stack);
    for things in [["ps", "--all"], ["volume", "ls"], ["network", "ls"]] {
        let left = podman(&[things[0], things[1], "--quiet", "--filter", &mine])?;
        assert_eq!(left, "", "podman {}", things.join(" "));
    }
    Ok(())
}
