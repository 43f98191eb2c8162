//! Stand-ins for two parts of a cluster: a service mesh that requires a token, and `KServe`'s controller.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use deploy_tests::{
    programs::{built, root, wait_for},
    store::free_ports,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::Cluster;

/// A real server with the digits model.
pub(crate) struct Server {
    process: Child,
    _folder: TempDir,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [port] = free_ports().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(built("decima-server").unwrap())
            .arg("--model-repository")
            .arg(root().join("models"))
            .args(["--host", "127.0.0.1", "--grpc-port", "0", "--http-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { process, _folder: folder, port };
        let ready = format!("http://127.0.0.1:{port}/v2/health/ready");
        wait_for("decima-server", 60, || Ok(ureq::get(&ready).call()?)).unwrap();
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Starts a proxy that forwards requests with the token to a port, and refuses others as Istio does. Returns its
/// address.
pub(crate) fn mesh(port: u16, token: &'static str) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    // The thread runs until the test process ends.
    thread::spawn(move || {
        for caller in socket.incoming().flatten() {
            thread::spawn(move || pass(caller, port, token));
        }
    });
    address
}

fn pass(mut caller: TcpStream, port: u16, token: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && caller.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    if !text.contains(&format!("\r\nauthorization: bearer {token}\r\n")) {
        let body = "RBAC: access denied";
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // The rest of the request must be read: otherwise a connection reset would discard the response.
        let _ = caller.write_all(answer.as_bytes());
        let _ = caller.shutdown(Shutdown::Write);
        let _ = std::io::copy(&mut caller, &mut std::io::sink());
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(&head).unwrap();
    let (mut from_caller, mut to_server) = (caller.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from_caller, &mut to_server));
    let _ = std::io::copy(&mut server, &mut caller);
}

/// Sets the status of one service as `KServe`'s controller does, until it is dropped: first a reason for waiting, and a
/// moment later that the service is ready.
pub(crate) struct Controller {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    pub(crate) fn start(cluster: Arc<Cluster>, name: &'static str, address: String) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(service) = cluster.get("inferenceservice", name) {
                    look(&cluster, name, &service, &address);
                }
                pause(200);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || thread::panicking(), "the controller failed");
    }
}

fn look(cluster: &Cluster, name: &str, service: &Value, address: &str) {
    let generation = &service["metadata"]["generation"];
    if service["status"]["observedGeneration"] == *generation {
        return;
    }
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({ "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let waiting = [
        condition("PredictorReady", "False", "RevisionMissing", "Configuration is waiting for a Revision"),
        condition("Ready", "False", "RevisionMissing", "Configuration is waiting for a Revision"),
    ];
    cluster.set_status(
        "inferenceservice",
        name,
        &json!({ "observedGeneration": generation, "conditions": waiting }),
    );
    pause(3_000);
    let ready = [condition("PredictorReady", "True", "", ""), condition("Ready", "True", "", "")];
    let status =
        json!({ "conditions": ready, "url": "http://outside.example.org", "address": { "url": address } });
    cluster.set_status("inferenceservice", name, &status);
}

#[expect(clippy::disallowed_methods, reason = "called outside any async runtime, so that blocking is fine")]
pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
