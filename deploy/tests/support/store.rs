//! Kubeflow's object store, `SeaweedFS`, with the key of a Kubeflow profile.

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

/// The administrator's keys. Kubeflow still uses the default keys of `MinIO`, its former store.
const ADMINISTRATOR: &str = "minio:minio123";
/// The bucket of Kubeflow Pipelines.
pub const BUCKET: &str = "mlpipeline";

/// A running store. Dropping it ends the process.
#[derive(Debug)]
pub struct Store {
    process: Child,
    folder: TempDir,
    /// The address of the store, `http://127.0.0.1:PORT`.
    pub endpoint: String,
}

/// A profile's key, which has limited rights.
#[derive(Debug)]
pub struct Key {
    /// Value of `AWS_ACCESS_KEY_ID`.
    pub id: String,
    /// Value of `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
}

impl Store {
    /// Starts a store on loopback: see [`Self::start_at`].
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(namespace: &str) -> Result<(Self, Key)> {
        Self::start_at("127.0.0.1", namespace)
    }

    /// Starts a store at an address of this machine with the bucket of Pipelines in it, and a profile's key.
    ///
    /// Kubeflow gives the key a policy that allows Get, Put and List below four prefixes. If this policy is set by the
    /// IAM API of `SeaweedFS` 4.48, listing does not work. The key therefore gets the same rights in the form of
    /// `SeaweedFS`' own actions, for each prefix.
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
        // HeadBucket, because the store creates the bucket only some time after it starts to answer.
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
    /// The key has no permission, or the store fails.
    pub fn put(&self, key: &Key, name: &str, file: &Path) -> Result<()> {
        let mut request = curl();
        request.args(["--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user"]);
        request.arg(format!("{}:{}", key.id, key.secret)).arg("--upload-file").arg(file);
        run(request.arg(format!("{}/{BUCKET}/{name}", self.endpoint))).map(drop)
    }

    /// The names of the objects in the bucket that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// The key has no permission, or the store fails.
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

    /// The environment variables with which a program uses this store as the profile.
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
        // The process may have ended by itself; then the test has already failed.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Free ports of this machine.
///
/// # Errors
///
/// There are not enough.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All sockets are open at the same time, so that the ports differ.
    let sockets =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let ports: Vec<u16> =
        sockets.iter().map(|socket| Ok(socket.local_addr()?.port())).collect::<Result<_>>()?;
    ports.try_into().map_err(|_| anyhow::anyhow!("the number of ports is fixed"))
}

/// A `curl` command. Its option `--aws-sigv4` signs requests as AWS clients do.
fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20"]);
    curl
}
