//! Measures the latency that users see at a rate below the server's maximum: `decima-loadtest` in an open loop, where
//! requests are due at fixed times regardless of earlier responses.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{
    cases::{Case, Model, Wire},
    process::Server,
};

/// Request rate as a fraction of the rate in a closed loop. It leaves the server a reserve, as in production.
const RATE_FRACTION: f64 = 0.5;

/// Latencies from when each request was due, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenLoop {
    pub(crate) requests_per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Whether to measure this load in an open loop: requests of one picture over many connections, in an encoding that the
/// load tester supports, at a rate that its one thread can send.
pub(crate) fn is_measured(case: &Case) -> bool {
    case.model == Model::Small && case.connections > 1 && case.pictures == 1 && case.wire != Wire::Grpc
}

/// Sends requests for `seconds` at half of `rate`, the rate in the closed loop. `program` is `decima-loadtest`.
///
/// # Errors
/// The load tester is missing or fails, or a request has no response or a wrong one.
pub(crate) fn run(
    program: &Path,
    case: &Case,
    server: &Server,
    rate: f64,
    seconds: u32,
) -> anyhow::Result<OpenLoop> {
    let mut command = Command::new(program);
    command.args(["--url", &format!("http://{}", server.address), "--model", case.model.name()]);
    command.args(["--wire", if case.wire == Wire::Json { "json" } else { "binary" }, "--quiet"]);
    command.args([
        "--connections",
        &case.connections.to_string(),
        "--rate",
        &format!("{:.0}", rate * RATE_FRACTION),
    ]);
    command.args(["--duration", &format!("{seconds}s"), "--distinct", "1", "--json", "-"]);
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .with_context(|| format!("decima-loadtest: {}", String::from_utf8_lossy(&output.stderr)))?;
    read(&report).with_context(|| format!("decima-loadtest: {report}"))
}

fn read(report: &Value) -> anyhow::Result<OpenLoop> {
    ensure!(report["errors"].as_array().is_some_and(Vec::is_empty), "not every request was answered right");
    let number = |value: &Value| value.as_f64().context("a figure is missing");
    let latency = &report["latency_seconds"];
    Ok(OpenLoop {
        requests_per_second: number(&report["throughput"]["requests_per_second"])?,
        p50: number(&latency["p50"])? * 1e3,
        p99: number(&latency["p99"])? * 1e3,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_with_errors_is_no_measurement() {
        let mut report = json!({
            "errors": [],
            "throughput": { "requests_per_second": 100.0 },
            "latency_seconds": { "p50": 0.001, "p99": 0.004 },
        });
        let open = read(&report).unwrap();
        assert!((open.p50 - 1.0).abs() < 1e-9 && (open.p99 - 4.0).abs() < 1e-9);
        report["errors"] = json!([{ "kind": "timeout", "count": 1 }]);
        read(&report).unwrap_err();
    }
}
