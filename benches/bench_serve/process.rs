//! Runs servers as child processes, and reads their CPU time and memory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::cases::Wire;

/// Ticks per second in which Linux reports the CPU time of a process (`USER_HZ`). It is 100 on every supported
/// architecture.
const TICKS: f64 = 100.0;

/// Longest time to wait until another server listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. It is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    /// Address on which it listens: `127.0.0.1:port`.
    pub(crate) address: String,
    /// Time from its start until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `decima-server` with the models below `repository`, and waits until they are ready.
    ///
    /// # Errors
    /// The server does not start, or ends before it is ready. The message has its log.
    pub(crate) fn decima(program: &Path, repository: &Path, threads: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        let inherited = ["PATH", "HOME", "DECIMA_CACHE", "ORT_DYLIB_PATH"];
        let inherited = inherited.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(inherited).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.args(["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--log-format", "json"]);
        command.args(["--threads", &threads.to_string()]).arg("--model-repository").arg(repository);
        let start = Instant::now();
        let mut running = Self::spawn(&mut command)?;
        let log = running.process.stderr.take().context("standard error is piped")?;
        running.address = wait_until_ready(log)?;
        running.ready_after = start.elapsed();
        Ok(running)
    }

    /// Starts another server with the model at `path`, and waits until it listens. Its arguments are the model's path
    /// and name, and the path of ONNX Runtime's library. It must write its HTTP and gRPC addresses to standard output.
    ///
    /// # Errors
    /// The server does not start, or ends at once.
    pub(crate) fn other(program: &Path, path: &Path, name: &str, wire: Wire) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg(path).arg(name).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env("ORT_DYLIB_PATH", benches::library().map_err(anyhow::Error::msg)?);
        let mut running = Self::spawn(&mut command)?;
        let said = running.first_line()?;
        let addresses = said.split_once(' ');
        let (http, grpc) = addresses.with_context(|| format!("{} ended at once", program.display()))?;
        running.address = if wire == Wire::Grpc { grpc.to_owned() } else { http.to_owned() };
        let start = Instant::now();
        while TcpStream::connect(&running.address).is_err() {
            ensure!(
                start.elapsed() < START_TIMEOUT,
                "{} does not listen at {}",
                program.display(),
                running.address
            );
            thread::yield_now();
        }
        Ok(running)
    }

    /// Starts this program's own bare server, which is busy for `work` microseconds before each response.
    ///
    /// # Errors
    /// The server does not start, or ends at once.
    pub(crate) fn echo(threads: usize, work: u64) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo", "--threads", &threads.to_string(), "--work", &work.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Self::spawn(&mut command)?;
        running.address = running.first_line()?;
        ensure!(!running.address.is_empty(), "the echo server ended at once");
        Ok(running)
    }

    /// The first line that the server writes to standard output. Empty if it ends before.
    fn first_line(&mut self) -> anyhow::Result<String> {
        let output = self.process.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { process, address: String::new(), ready_after: Duration::ZERO })
    }

    /// CPU time of all threads since the start, in user space and in the kernel.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("/proc has no CPU time: {stat}"))?;
        Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
    }

    /// Resident memory in MiB.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("/proc has no VmRSS")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Reads the log until the server is ready, and returns its address. A thread continues to read the log, so that the
/// server never blocks on writing it.
fn wait_until_ready(log: impl Read + Send + 'static) -> anyhow::Result<String> {
    let mut lines = BufReader::new(log).lines();
    let (mut address, mut said) = (String::new(), Vec::new());
    for line in &mut lines {
        let line = line?;
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        match event["message"].as_str() {
            Some("listening") => event["address"].as_str().unwrap_or_default().clone_into(&mut address),
            Some("ready") => {
                thread::spawn(move || lines.for_each(drop));
                return Ok(address);
            }
            _ => {}
        }
        said.push(line);
    }
    bail!("decima-server ended before it was ready:\n{}", said.join("\n"))
}

/// The sum of `utime` and `stime`, which are fields 14 and 15 of `/proc/PID/stat`. Field 2 is a name in parentheses
/// that may contain any character.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 12345 1000 200";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_server_that_ends_early_says_why() {
        let log = "{\"message\":\"listening\",\"address\":\"127.0.0.1:1\"}\n{\"message\":\"no models\"}\n";
        let error = wait_until_ready(log.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("no models"), "{error}");
        let log = format!("{log}{{\"message\":\"ready\"}}\n");
        assert_eq!(wait_until_ready(std::io::Cursor::new(log)).unwrap(), "127.0.0.1:1");
    }
}
