//! Starts a real MinIO server for tests, on a free loopback port and with its own folder.
//!
//! Functions here panic instead of returning errors, because a test cannot handle them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Location, Settings, client};

/// The access key of Kubeflow's MinIO.
const USER: &str = "minio";
const PASSWORD: &str = "minio123";

/// Subfolder of the server's data that contains its certificate.
const CERTIFICATES: &str = "certificates";

/// A MinIO server for one test. It is stopped when this value is dropped.
#[derive(Debug)]
pub struct Minio {
    port: u16,
    scheme: &'static str,
    data: TempDir,
    process: Option<Child>,
}

impl Minio {
    /// Starts a server and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder can be made"), "http").await
    }

    /// Starts a server that uses HTTPS with this certificate for 127.0.0.1 and this key, both in PEM.
    pub async fn start_https(certificate: &str, key: &str) -> Self {
        let data = TempDir::new().expect("a temporary folder can be made");
        let folder = data.path().join(CERTIFICATES);
        std::fs::create_dir(&folder).expect("a new folder can be made");
        for (name, content) in [("public.crt", certificate), ("private.key", key)] {
            std::fs::write(folder.join(name), content).expect("a new file can be written");
        }
        Self::start_in(data, "https").await
    }

    async fn start_in(data: TempDir, scheme: &'static str) -> Self {
        let mut minio = Self { port: 0, scheme, data, process: None };
        // another process may take the free port before MinIO does
        for _ in 0..5 {
            minio.port = free_port();
            if minio.launch().await {
                return minio;
            }
        }
        unreachable!("MinIO does not start: run {} server by hand and read what it says", binary().display());
    }

    /// Kills the server, as a crash would.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().await.expect("an own child can be killed");
    }

    /// Starts a stopped server again, on the same port and with the same data.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "stop the server first");
        assert!(self.launch().await, "MinIO does not start again on port {}", self.port);
    }

    /// The URL of the server, such as `http://127.0.0.1:9000`.
    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The location of `bucket/prefix` on this server. It contains the endpoint.
    pub fn location(&self, path: &str) -> Location {
        format!("s3://{}/{path}", self.endpoint()).parse().expect("a bucket's address")
    }

    /// Environment variables with which a program finds this server for an address such as `s3://bucket/prefix`.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", USER.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD.to_owned()),
        ]
    }

    /// Settings made from [`Minio::variables`]. They trust the server's certificate.
    pub fn settings(&self) -> Settings {
        let variables = self.variables();
        let settings = Settings::from_env(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        });
        let certificate = self.data.path().join(CERTIFICATES).join("public.crt");
        let ca_bundle = (self.scheme == "https").then_some(certificate);
        Settings { ca_bundle, ..settings.expect("the variables are valid") }
    }

    /// A client of the SDK, for operations that this crate does not have.
    pub fn client(&self) -> aws_sdk_s3::Client {
        let Location::Bucket(bucket) = self.location("any") else {
            unreachable!("the address is a bucket's")
        };
        client::build(&bucket, &self.settings()).expect("the settings are valid").0
    }

    /// Creates a bucket.
    pub async fn create_bucket(&self, bucket: &str) {
        let request = self.client().create_bucket().bucket(bucket);
        Box::pin(request.send()).await.expect("MinIO creates a bucket");
    }

    /// Writes an object and replaces an existing one.
    pub async fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let content = ByteStream::from(content.into());
        let request = self.client().put_object().bucket(bucket).key(key).body(content);
        Box::pin(request.send()).await.expect("MinIO writes an object");
    }

    /// Starts the process. Returns whether it became ready; it may also end because its port is taken.
    async fn launch(&mut self) -> bool {
        let mut process = Command::new(binary())
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{}", self.port)])
            .arg("--certs-dir")
            .arg(self.data.path().join(CERTIFICATES))
            .arg(self.data.path().join("objects"))
            .env("MINIO_ROOT_USER", USER)
            .env("MINIO_ROOT_PASSWORD", PASSWORD)
            .env("MINIO_BROWSER", "off")
            .env("HOME", self.data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("MinIO can be run");
        for _ in 0..300 {
            if process.try_wait().expect("an own child can be waited for").is_some() {
                return false;
            }
            if self.is_ready().await {
                self.process = Some(process);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    async fn is_ready(&self) -> bool {
        Box::pin(self.client().list_buckets().send()).await.is_ok()
    }
}

/// A port of 127.0.0.1 that is free at the moment.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port is free");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// Path of the MinIO program in the project's cache folder.
fn binary() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("DECIMA_CACHE").or_else(|| Some(variable("HOME")?.join(".cache/decima")));
    let cache = cache.expect("HOME or DECIMA_CACHE is set");
    let binary = cache.join("minio/minio");
    assert!(
        binary.is_file(),
        "{} is missing: run `make test`, or `scripts/setup minio` once, which builds it",
        binary.display()
    );
    binary
}
