//! An API server with its etcd, and accounts with different rights.

use std::{
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use deploy_tests::{
    programs::{built, cached, root, run},
    store::free_ports,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::pause;

/// Namespace of the Kubeflow profile that the tests use.
pub(crate) const NAMESPACE: &str = "alice";
/// Token, user name and group of each account.
const ACCOUNTS: [(&str, &str, &str); 3] = [
    ("administrator", "administrator", "system:masters"),
    // The service account of a pipeline step.
    ("editor", "system:serviceaccount:alice:default-editor", "system:serviceaccounts:alice"),
    ("nobody", "bob", "people"),
];
/// The rights of a profile's account: those that Kubeflow gives it for services, and those of the role `edit`.
const RIGHTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: alice, labels: {pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kubeflow-kserve-edit}
rules:
  - apiGroups: [serving.kserve.io]
    resources: ["*"]
    verbs: [get, list, watch, create, delete, deletecollection, patch, update]
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: default-editor, namespace: alice}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubeflow-kserve-edit}
subjects: [{kind: ServiceAccount, name: default-editor, namespace: alice}]
"#;

pub(crate) struct Cluster {
    folder: TempDir,
    processes: Vec<Child>,
    /// The output of `decima-trainer deploy` before `KServe`'s definitions were installed.
    pub(crate) without_definitions: Output,
}

/// The cluster that all tests share. It ends with the last of them.
pub(crate) fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(Cluster::start());
    *shared = Arc::downgrade(&cluster);
    cluster
}

impl Cluster {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [api, etcd, peer] = free_ports().unwrap();
        let mut cluster = Self { folder, processes: Vec::new(), without_definitions: nothing() };
        let (client, peer) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        let mut store = Command::new("etcd");
        store.args(["--data-dir", "etcd", "--unsafe-no-fsync", "--listen-client-urls", &client]);
        store.args(["--advertise-client-urls", &client, "--listen-peer-urls", &peer]);
        store.args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}")]);
        cluster.spawn("etcd", &mut store);

        let accounts = ACCOUNTS.map(|(token, user, groups)| format!("{token},{user},{user},{groups}\n"));
        fs::write(cluster.path("tokens.csv"), accounts.concat()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(cluster.path("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(cluster.path("accounts.pub"), key.public_key_pem()).unwrap();
        let mut server = Command::new(cached("apiserver", "apiserver/kube-apiserver").unwrap());
        server.args(["--etcd-servers", &client, "--secure-port", &api.to_string()]);
        server.args([
            "--bind-address=127.0.0.1",
            "--cert-dir=certificates",
            "--service-cluster-ip-range=10.0.0.0/24",
        ]);
        server.args(["--authorization-mode=RBAC", "--token-auth-file=tokens.csv"]);
        server.args(["--service-account-issuer=https://kubernetes.default.svc"]);
        server.args([
            "--service-account-key-file=accounts.pub",
            "--service-account-signing-key-file=accounts.key",
        ]);
        // No controller runs here that would create the service accounts for pods.
        server.arg("--disable-admission-plugins=ServiceAccount");
        cluster.spawn("apiserver", &mut server);
        for (token, ..) in ACCOUNTS {
            fs::write(cluster.kubeconfig(token), kubeconfig(api, token)).unwrap();
        }
        cluster.wait_for_api_server();
        cluster.kubectl("administrator", &["apply", "--server-side", "-f", "-"], RIGHTS);
        cluster.without_definitions =
            cluster.deploy("editor", &["--models", "s3://mlpipeline/private/alice/models"]);
        cluster.define();
        cluster
    }

    fn wait_for_api_server(&mut self) {
        for _ in 0..600 {
            let ready = self.kubectl_output("administrator", &["get", "--raw", "/readyz"], "");
            if ready.status.success() {
                return;
            }
            let ended = self.processes.iter_mut().find_map(|process| process.try_wait().unwrap());
            assert!(ended.is_none(), "ended with {ended:?}: {}", self.logs());
            pause(200);
        }
        panic!("the API server is not ready: {}", self.logs());
    }

    /// The last lines of the processes' logs.
    fn logs(&self) -> String {
        let last = |name: &str| {
            let log = fs::read(self.path(&format!("{name}.log"))).unwrap_or_default();
            String::from_utf8_lossy(&log[log.len().saturating_sub(2_000)..]).into_owned()
        };
        format!("\netcd: {}\nAPI server: {}", last("etcd"), last("apiserver"))
    }

    /// Installs the custom resource definitions that the manifests need.
    fn define(&self) {
        let definitions = cached("definitions", "definitions").unwrap();
        let definitions = definitions.to_str().unwrap();
        self.kubectl("administrator", &["apply", "--server-side", "--recursive", "-f", definitions], "");
        // kubectl fails at once on a definition that has no status yet.
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        for _ in 0..50 {
            if self.kubectl_output("administrator", &wait, "").status.success() {
                return;
            }
            pause(200);
        }
        self.kubectl("administrator", &wait, "");
    }

    /// Runs `kubectl` as an account, and returns its output.
    pub(crate) fn kubectl(&self, account: &str, args: &[&str], input: &str) -> String {
        let output = self.kubectl_output(account, args, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {said}\n{input}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn kubectl_output(&self, account: &str, args: &[&str], input: &str) -> Output {
        let path = self.path("input");
        let path = path.with_file_name(format!("input-{:?}", std::thread::current().id()));
        fs::write(&path, input).unwrap();
        let mut kubectl = Command::new("kubectl");
        kubectl.env("KUBECONFIG", self.kubeconfig(account)).args(args).stdin(File::open(path).unwrap());
        kubectl.output().unwrap()
    }

    /// An object as JSON, or `None` if it does not exist.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let output = self.kubectl_output(
            "administrator",
            &["-n", NAMESPACE, "get", kind, name, "-o", "json", "--show-managed-fields"],
            "",
        );
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Sets the status of an object, as its controller would do.
    pub(crate) fn set_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = serde_json::json!({ "status": status }).to_string();
        let args =
            ["-n", NAMESPACE, "patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch];
        self.kubectl("administrator", &args, "");
    }

    /// Runs `decima-trainer deploy` as an account.
    pub(crate) fn deploy(&self, account: &str, args: &[&str]) -> Output {
        let mut trainer = Command::new(built("decima-trainer").unwrap());
        trainer.env("KUBECONFIG", self.kubeconfig(account)).arg("deploy").args(args).output().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn kubeconfig(&self, account: &str) -> PathBuf {
        self.path(&format!("{account}.kubeconfig"))
    }

    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = File::create(self.path(&format!("{name}.log"))).unwrap();
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process =
            command.spawn().unwrap_or_else(|error| panic!("{name}: {error}: scripts/setup apiserver"));
        self.processes.push(process);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The API server ends first: without etcd it would log errors.
        for process in self.processes.iter_mut().rev() {
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// Standard output and standard error of a program, for messages of assertions.
pub(crate) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn nothing() -> Output {
    Command::new("true").output().unwrap()
}

fn kubeconfig(port: u16, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: it
contexts: [{{name: it, context: {{cluster: it, user: it, namespace: {NAMESPACE}}}}}]
clusters: [{{name: it, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: certificates/apiserver.crt}}}}]
users: [{{name: it, user: {{token: {token}}}}}]
"
    )
}

/// The output of `kubectl kustomize` for a folder below `deploy`.
pub(crate) fn kustomized(folder: &str) -> String {
    run(Command::new("kubectl").arg("kustomize").arg(root().join("deploy").join(folder))).unwrap()
}

/// The YAML files of a folder below `deploy`.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("deploy").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path: &PathBuf| path.extension() == Some(Path::new("yaml").as_os_str()));
    files.sort();
    files
}
