//! Kubeflow's object store, `SeaweedFS`, with a profile's key as Kubeflow makes it.

use std::{
    fs,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::programs::{cached, run, wait_for};

/// The administrator's keys, which Kubeflow keeps from the days of `MinIO`.
const ADMINISTRATOR: &str = "minio:minio123";
/// The bucket of Pipelines.
pub const BUCKET: &str = "mlpipeline";

/// A store that runs until this is dropped.
#[derive(Debug)]
pub struct Store {
    process: Child,
    folder: TempDir,
    /// `http://address:port`.
    pub endpoint: String,
}

/// A profile's key, which may do little.
#[derive(Debug)]
pub struct Key {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
}

impl Store {
    /// Starts a store for this machine alone: see [`Self::start_at`].
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(namespace: &str) -> Result<(Self, Key)> {
        Self::start_at("127.0.0.1", namespace)
    }

    /// Starts a store at an address of this machine with the bucket of Pipelines in it, and a profile's key.
    ///
    /// Kubeflow puts a policy on the key that allows Get, Put and List at four places. `SeaweedFS` 4.48 allows no listing
    /// by this policy when its IAM API puts it. So the key has the same rights as actions of `SeaweedFS`, one for each
    /// place.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start_at(address: &str, namespace: &str) -> Result<(Self, Key)> {
        let program = cached("seaweedfs", "seaweedfs/weed")?;
        let folder = TempDir::new()?;
        let key = Key { id: "profile".to_owned(), secret: "the-secret-of-a-profile".to_owned() };
        let (administrator, password) = ADMINISTRATOR.split_once(':').context("a name and a password")?;
        let places = [
            "artifacts",
            &format!("private-artifacts/{namespace}"),
            &format!("private/{namespace}"),
            "shared",
        ]
        .map(|place| ["Read", "Write", "List"].map(|action| format!("{action}:{BUCKET}/{place}/*")));
        let identity = |name: &str, id: &str, secret: &str, actions: &[String]| json!({ "name": name, "credentials": [{ "accessKey": id, "secretKey": secret }], "actions": actions });
        let identities = json!({ "identities": [
            identity("kubeflow-admin", administrator, password, &["Admin".to_owned()]),
            identity(namespace, &key.id, &key.secret, places.as_flattened()),
        ] });
        fs::write(folder.path().join("identities.json"), identities.to_string())?;
        fs::create_dir(folder.path().join("data"))?;
        let ports = free_ports::<10>()?;
        let names = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "admin.port",
            "admin.port.grpc",
        ];
        let log = File::create(folder.path().join("log"))?;
        let process = Command::new(program)
            .args(["mini", "-dir=data", "-webdav=false", "-admin.ui=false"])
            .args([format!("-ip={address}"), format!("-ip.bind={address}")])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.config=identities.json"])
            .arg(format!("-bucket={BUCKET}"))
            .args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")))
            .envs([("AWS_ACCESS_KEY_ID", administrator), ("AWS_SECRET_ACCESS_KEY", password)])
            .current_dir(folder.path())
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        let store = Self { process, folder, endpoint: format!("http://{address}:{}", ports[0]) };
        // HeadBucket: the bucket is made some time after the store answers.
        let head = ["--head", "--fail", "--user", ADMINISTRATOR, "--aws-sigv4", "aws:amz:us-east-1:s3"];
        let bucket = format!("{}/{BUCKET}", store.endpoint);
        wait_for("SeaweedFS", 60, || run(curl().args(head).arg(&bucket)))
            .with_context(|| fs::read_to_string(store.folder.path().join("log")).unwrap_or_default())?;
        Ok((store, key))
    }

    /// Writes a file into the bucket.
    ///
    /// # Errors
    ///
    /// The key may not, or the store fails.
    pub fn put(&self, key: &Key, name: &str, file: &Path) -> Result<()> {
        let mut request = curl();
        request.args(["--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user"]);
        request.arg(format!("{}:{}", key.id, key.secret)).arg("--upload-file").arg(file);
        run(request.arg(format!("{}/{BUCKET}/{name}", self.endpoint))).map(drop)
    }

    /// The names in the bucket that begin so, as the store's listing has them.
    ///
    /// # Errors
    ///
    /// The key may not, or the store fails.
    pub fn list(&self, key: &Key, prefix: &str) -> Result<Vec<String>> {
        let mut request = curl();
        request.args(["--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user"]);
        request.arg(format!("{}:{}", key.id, key.secret));
        let listing = request.arg(format!(
            "{}/{BUCKET}?list-type=2&prefix={}",
            self.endpoint,
            prefix.replace('/', "%2F")
        ));
        let listing = run(listing)?;
        let names =
            listing.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()));
        Ok(names.collect())
    }

    /// The variables that lead a program here as a profile.
    pub fn variables(&self, key: &Key) -> [(&'static str, String); 3] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", key.secret.clone()),
        ]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may have ended by itself; the test has then failed already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Ports of this machine on which nobody listens now.
///
/// # Errors
///
/// There are none.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // Held together, so that they differ.
    let sockets =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let ports: Vec<u16> =
        sockets.iter().map(|socket| Ok(socket.local_addr()?.port())).collect::<Result<_>>()?;
    ports.try_into().map_err(|_| anyhow::anyhow!("so many ports as were asked for"))
}

/// `curl`, which signs requests as AWS's clients do.
fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20"]);
    curl
}
