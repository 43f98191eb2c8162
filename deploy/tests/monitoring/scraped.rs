//! A real Prometheus scrapes a real server under load: every panel has something to show, and every rule can be computed.

use std::{
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use deploy_tests::{
    programs::{built, cached, pinned, root, run, wait_for},
    prometheus::{Query, get, queries, query},
    store::free_ports,
};
use serde_json::Value;
use tempfile::TempDir;

/// For how long the server is asked before the panels are looked at: several rates, which each need two scrapes.
const LOAD: Duration = Duration::from_secs(20);

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(command: &mut Command, log: &Path) -> Result<Running> {
    let log = File::create(log)?;
    let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Running(command.spawn().with_context(|| format!("{command:?}"))?))
}

/// The server on the digits and a model that cannot be loaded, and Prometheus beside it.
struct Watched {
    _server: Running,
    _prometheus: Running,
    folder: TempDir,
    server: String,
    prometheus: String,
}

impl Watched {
    fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("models/broken/1"))?;
        fs::write(at("models/broken/1/model.onnx"), "no model")?;
        run(Command::new("cp").arg("--recursive").arg(root().join("models/digits")).arg(at("models")))?;
        let [port, prometheus_port] = free_ports()?;
        let address = format!("127.0.0.1:{port}");
        let version = pinned("ONNXRUNTIME_VERSION")?;
        let mut program = Command::new(built("decima-server")?);
        program.args([
            "--host=127.0.0.1",
            "--grpc-port=0",
            "--exit-on-error=false",
            "--strict-readiness=false",
        ]);
        program.arg(format!("--http-port={port}"));
        program.arg("--model-repository").arg(at("models")).arg("--feedback").arg(at("feedback"));
        program.env("ORT_DYLIB_PATH", cached("onnxruntime", &format!("onnxruntime-{version}"))?);
        let server = start(&mut program, &at("server.log"))?;

        // As in the compose file, but for the address and the times.
        let config = fs::read_to_string(root().join("deploy/monitoring/prometheus.yml"))?;
        let config = config
            .replace("scrape_interval: 5s", "scrape_interval: 1s\n  evaluation_interval: 1s")
            .replace("server:8080", &address);
        ensure!(config.contains("evaluation_interval") && config.contains(&address), "{config}");
        fs::write(at("prometheus.yml"), config)?;
        fs::copy(root().join("deploy/monitoring/rules.yaml"), at("rules.yaml"))?;
        let mut program = Command::new(cached("prometheus", "prometheus/bin/prometheus")?);
        program.arg(format!("--web.listen-address=127.0.0.1:{prometheus_port}"));
        program
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .current_dir(folder.path());
        let prometheus = start(&mut program, &at("prometheus.log"))?;

        let watched = Self {
            _server: server,
            _prometheus: prometheus,
            server: format!("http://{address}"),
            prometheus: format!("http://127.0.0.1:{prometheus_port}"),
            folder,
        };
        let ready = || Ok(ureq::get(format!("{}/v2/health/ready", watched.server)).call()?);
        wait_for("decima-server", 60, ready).with_context(|| watched.log("server.log"))?;
        let scraped = || {
            let up = query(&watched.prometheus, "decima_build_info")?;
            ensure!(!up.is_empty(), "nothing is scraped yet");
            Ok(())
        };
        wait_for("Prometheus", 60, scraped).with_context(|| watched.log("prometheus.log"))?;
        Ok(watched)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Sends what clients send, right and wrong, until `done`. Returns how many requests.
    fn ask(&self, done: &AtomicBool) -> Result<usize> {
        let models = root().join("models/digits");
        let [v2, v1] = ["example.json", "example-v1.json"].map(|name| fs::read(models.join(name)));
        let (v2, v1, seven) = (v2?, v1?, fs::read(models.join("seven.png"))?);
        let mut late: Value = serde_json::from_slice(&v2)?;
        late["parameters"] = serde_json::json!({ "timeout": 1 }); // a microsecond
        let late = serde_json::to_vec(&late)?;
        let correction = serde_json::json!({ "model": "digits", "label": "7", "picture": base64(&seven)? });
        let correction = serde_json::to_vec(&correction)?;
        let infer = format!("{}/v2/models/digits/infer", self.server);
        let predict = format!("{}/v1/models/digits:predict", self.server);
        let feedback = format!("{}/feedback", self.server);
        let json = "application/json";
        let requests = [
            (&infer, json, &v2, 200),
            (&infer, "image/png", &seven, 200),
            (&predict, json, &v1, 200),
            (&infer, json, &late, 504),
            (&infer, json, &b"{}".to_vec(), 400),
            (&feedback, json, &correction, 201),
        ];
        let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            for (url, content_type, body, status) in &requests {
                let mut answer = agent.post(*url).header("content-type", *content_type).send(&body[..])?;
                let got = answer.status().as_u16();
                answer.body_mut().read_to_vec()?; // so that the connection serves the next request too
                // Beyond the limit of corrections a minute they are refused; and a microsecond may be enough.
                let other = if *url == &feedback { 429 } else { 200 };
                ensure!(got == *status || got == other, "{url}: {got}");
                count += 1;
            }
        }
        Ok(count)
    }
}

fn base64(bytes: &[u8]) -> Result<String> {
    let folder = TempDir::new()?;
    let file = folder.path().join("file");
    fs::write(&file, bytes)?;
    Ok(run(Command::new("base64").arg("--wrap=0").arg(file))?.trim().to_owned())
}

/// Whether a series has a number at the moment: `NaN` is what a division by nothing leaves.
fn is_number(series: &Value) -> bool {
    let value = series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
    value.is_some_and(f64::is_finite)
}

fn pictures(watched: &Watched) -> Result<Vec<PathBuf>> {
    let folder = if std::env::var_os("UPDATE_DOCS").is_some() {
        root().join("docs/monitoring")
    } else {
        watched.folder.path().join("pictures")
    };
    let python = cached("monitoring", "venv-monitoring/bin/python")?;
    let script = root().join("deploy/monitoring/plot.py");
    run(Command::new(python)
        .arg(script)
        .args(["--prometheus", &watched.prometheus, "--seconds", &LOAD.as_secs().to_string(), "--out"])
        .arg(&folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MPLCONFIGDIR", watched.folder.path()))?;
    Ok(["server", "model", "digits"].map(|name| folder.join(format!("{name}.png"))).to_vec())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "there is no runtime here whose thread could be blocked")]
fn every_panel_of_a_server_under_load_has_something_to_show() {
    let watched = Watched::start().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| watched.ask(&done))).collect();
        let started = Instant::now();
        while started.elapsed() < LOAD && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(100));
        }
        // Nothing may panic before the clients are told to end.
        let (looked, drawn) = (look(&watched), pictures(&watched));
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let count = client.join().unwrap().unwrap();
            assert!(count > 100, "only {count} requests");
        }
        let (empty, rules) = looked.unwrap();
        assert!(empty.is_empty(), "nothing to show:\n{}", empty.join("\n"));
        assert_rules(&rules);
        for picture in drawn.unwrap() {
            let bytes = fs::read(&picture).unwrap();
            let is_png = bytes.starts_with(b"\x89PNG");
            assert!(is_png && (10_000..200_000).contains(&bytes.len()), "{picture:?}: {} bytes", bytes.len());
        }
    });
}

/// The queries that find nothing, and what Prometheus says of the rules.
fn look(watched: &Watched) -> Result<(Vec<String>, Value)> {
    let mut empty = Vec::new();
    for Query { panel, expression } in queries("10s")? {
        let series = query(&watched.prometheus, &expression)?;
        if !series.iter().any(is_number) {
            empty.push(format!("{panel}: {expression}: {series:?}"));
        }
    }
    Ok((empty, get(&format!("{}/api/v1/rules", watched.prometheus))?))
}

/// Each rule has been computed, each recorded series is there, and the model that cannot be loaded is an alert.
fn assert_rules(answer: &Value) {
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 12, "{answer}");
    for rule in &rules {
        assert_eq!((&rule["health"], rule["lastError"].as_str().unwrap_or("")), (&"ok".into(), ""), "{rule}");
    }
    let alerts_of = |name: &str| {
        let rule = rules.iter().find(|rule| rule["name"] == name).unwrap();
        rule["alerts"].as_array().cloned().unwrap_or_default()
    };
    for (name, models) in [("DecimaModelLoadFailed", vec!["broken"]), ("DecimaErrors", vec!["digits"])] {
        let found: Vec<Value> =
            alerts_of(name).iter().map(|alert| alert["labels"]["model"].clone()).collect();
        assert_eq!(found, models, "{name}");
    }
    assert!(alerts_of("DecimaDown").is_empty());
}
