//! A `decima-server` process of a test's own.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use procfs::process::{MMapPath, MemoryMap, Process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes this long on a machine that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// The user who owns nothing.
const NOBODY: u32 = 65534;

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct ServerBuilder {
    command: Command,
    models: TempDir,
}

impl ServerBuilder {
    /// A server on a free loopback port over a repository of its own, still empty.
    pub(crate) fn new() -> Self {
        let models = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_decima-server"));
        let inherited = ["PATH", "HOME", "DECIMA_CACHE", "ORT_DYLIB_PATH"];
        let inherited = inherited.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(inherited).env("TMPDIR", models.path());
        command.args(["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--log-format", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { command, models }
    }

    /// Puts a model into the repository.
    pub(crate) fn model(self, name: &str, version: &str, onnx: &[u8]) -> Self {
        super::models::write(self.models.path(), name, version, onnx);
        self
    }

    /// Puts a file into the repository.
    pub(crate) fn file(self, key: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.models.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// Its repository.
    pub(crate) fn models(&self) -> &Path {
        self.models.path()
    }

    /// Adds arguments.
    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds environment variables.
    pub(crate) fn envs<V: AsRef<std::ffi::OsStr>>(
        mut self,
        envs: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        self.command.envs(envs);
        self
    }

    /// Runs it as a user whom permissions bind, from a copy of the program in `folder`: who tests may be root, and what
    /// root has may be closed to others.
    pub(crate) fn unprivileged(mut self, folder: &Path, library: &Path) -> Self {
        let bring = |from: &Path| {
            let from = from.canonicalize().unwrap();
            let to = folder.join(from.file_name().unwrap());
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)).unwrap();
            to
        };
        let mut command = Command::new(bring(Path::new(self.command.get_program())));
        let envs = self.command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(envs).env("ORT_DYLIB_PATH", bring(library)).args(self.command.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for folder in [folder, self.models.path()] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
        }
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        self.command = command;
        self
    }

    /// Starts it on its own repository and waits until it is ready.
    pub(crate) fn start(self) -> Server {
        let server = self.start_to_fail();
        server.wait_until_ready();
        server
    }

    /// Starts it on its own repository, and waits for nothing.
    pub(crate) fn start_to_fail(mut self) -> Server {
        self.command.arg("--model-repository").arg(self.models.path());
        self.spawn()
    }

    /// Starts it with the arguments that it has, and waits for nothing.
    pub(crate) fn spawn(mut self) -> Server {
        let mut process = self.command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, lines) = (process.stderr.take().unwrap(), Arc::clone(&log));
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { break };
                lines.lines.lock().unwrap().push(line);
                lines.more.notify_all();
            }
        });
        Server { process, log, reader: Some(reader), models: self.models }
    }
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A running server; it ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    log: Arc<Log>,
    /// Reads its log to the end.
    reader: Option<JoinHandle<()>>,
    models: TempDir,
}

impl Server {
    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        self.wait_for("listening")["address"].as_str().unwrap().to_owned()
    }

    /// Its repository.
    pub(crate) fn models(&self) -> &Path {
        self.models.path()
    }

    /// Everything that it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Waits until every model answers.
    pub(crate) fn wait_until_ready(&self) {
        self.find(|event| message(event) == "ready", "ready");
    }

    /// Waits for a line of the log whose message contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> Value {
        self.find(|event| message(event).contains(text), text)
    }

    /// Waits for a line of the log with exactly this message.
    pub(crate) fn wait_for_message(&self, text: &str) -> Value {
        self.find(|event| message(event) == text, text)
    }

    fn find(&self, wanted: impl Fn(&Value) -> bool, text: &str) -> Value {
        let gives_up = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(event) = events.into_iter().find(&wanted) {
                return event;
            }
            let left = gives_up.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line says '{text}':\n{}", lines.join("\n"));
            (lines, _) = self.log.more.wait_timeout(lines, left.min(Duration::from_millis(100))).unwrap();
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended, and all that it logged is there.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let gives_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                if let Some(reader) = self.reader.take() {
                    reader.join().unwrap();
                }
                return status;
            }
            assert!(Instant::now() < gives_up, "it does not end:\n{}", self.log().join("\n"));
            pause();
        }
    }

    /// What `work` adds to its resident memory at most, in bytes.
    pub(crate) fn memory_for(&self, work: impl FnOnce()) -> usize {
        let process = format!("/proc/{}", self.process.id());
        let read = |name: &str| {
            let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
        };
        std::fs::write(format!("{process}/clear_refs"), "5").unwrap(); // the peak is what there is, from now on
        let before = read("VmRSS:");
        work();
        read("VmHWM:").saturating_sub(before)
    }

    /// The time that it has had of all cores so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = Process::new(self.process.id() as i32).and_then(|process| process.stat()).unwrap();
        let ticks = stat.utime + stat.stime;
        Duration::from_millis(ticks * 1000 / procfs::ticks_per_second())
    }

    /// What of files whose path contains `name` is in its memory, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self, name: &str) -> u64 {
        let is_of_file = |map: &&MemoryMap| match &map.pathname {
            MMapPath::Path(path) => path.to_string_lossy().contains(name),
            _ => false,
        };
        let maps = Process::new(self.process.id() as i32).and_then(|process| process.smaps()).unwrap();
        maps.iter().filter(is_of_file).map(|map| map.extension.map["Rss"]).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "no runtime here that it could block")]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}
