//! Runs the load programs: `wrk` for HTTP/1.1 and `h2load` for HTTP/2, with one thread each. A response other than
//! success is an error.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{
    cases::{Case, Wire},
    requests::Call,
};

const MISSING: &str = "is missing: apt-get install wrk nghttp2-client";

/// Figures of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Requests with a successful response.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Latency in milliseconds. `None` for `h2load`, which does not report it.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// Checks that both load programs are installed.
///
/// # Errors
/// A program is missing. The message says how to install it.
pub(crate) fn check_programs() -> anyhow::Result<()> {
    for program in ["wrk", "h2load"] {
        output(Command::new(program).arg("--version"))?;
    }
    Ok(())
}

/// Sends requests for `seconds` over the connections of `case`. Each connection waits for a response before its next
/// request. Files for the load programs are written to `folder`.
///
/// # Errors
/// A load program is missing or fails, or a response is not a success.
pub(crate) fn run(
    case: &Case,
    call: &Call,
    address: &str,
    seconds: u32,
    folder: &Path,
) -> anyhow::Result<Load> {
    let url = format!("http://{address}{}", call.path);
    let body = folder.join("body");
    fs::write(&body, &call.body)?;
    let common = ["-t1".to_owned(), format!("-c{}", case.connections)];
    if case.wire == Wire::Grpc {
        let mut command = Command::new("h2load");
        command.args(common).args(["-m1".to_owned(), format!("-D{seconds}")]).arg("-d").arg(&body);
        for (name, value) in &call.headers {
            command.arg("-H").arg(format!("{name}: {value}"));
        }
        return h2load_result(&succeeded(command.arg(url))?);
    }
    let script = folder.join("wrk.lua");
    fs::write(&script, wrk_script(call, &body))?;
    let mut command = Command::new("wrk");
    command.args(common).args([
        format!("-d{seconds}s"),
        "--latency".into(),
        "--timeout".into(),
        "10s".into(),
    ]);
    wrk_result(&succeeded(command.arg("-s").arg(script).arg(url))?)
}

fn output(command: &mut Command) -> anyhow::Result<Output> {
    let program = command.get_program().display().to_string();
    command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("{program} {MISSING}"),
        _ => anyhow::anyhow!("cannot start {program}: {error}"),
    })
}

fn succeeded(command: &mut Command) -> anyhow::Result<String> {
    let output = output(command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = command.get_program().display();
    ensure!(output.status.success(), "{program}: {}\n{text}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// A script for wrk: the request, and JSON as the last line of its output, which is easier to parse than the report.
fn wrk_script(call: &Call, body: &Path) -> String {
    let mut script = format!(
        "wrk.method = \"POST\"\nlocal file = assert(io.open({:?}, \"rb\"))\nwrk.body = file:read(\"*a\")\n\
         file:close()\n",
        body.display().to_string()
    );
    for (name, value) in &call.headers {
        let _infallible = writeln!(script, "wrk.headers[{name:?}] = {value:?}");
    }
    script.push_str(
        r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"socket_errors":%d,"refused":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
"#,
    );
    script
}

fn wrk_result(text: &str) -> anyhow::Result<Load> {
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk has no result:\n{text}"))?;
    let result: Value = serde_json::from_str(line).with_context(|| format!("wrk's result: {line}"))?;
    let number = |key: &str| result[key].as_u64().with_context(|| format!("wrk does not say {key}: {line}"));
    let requests = number("requests")?;
    let (socket_errors, refused) = (number("socket_errors")?, number("refused")?);
    if socket_errors + refused > 0 || requests == 0 {
        bail!("{requests} requests, {refused} of them refused, and {socket_errors} socket errors:\n{text}");
    }
    let seconds = number("microseconds")? as f64 / 1e6;
    Ok(Load {
        requests,
        requests_per_second: requests as f64 / seconds,
        p50: Some(number("p50")? as f64 / 1e3),
        p99: Some(number("p99")? as f64 / 1e3),
    })
}

fn h2load_result(text: &str) -> anyhow::Result<Load> {
    let count = |line: &str, what: &str| {
        let counts = text.lines().find_map(|text| text.strip_prefix(line));
        let counts = counts.and_then(|counts| counts.split(", ").find_map(|count| count.strip_suffix(what)));
        let number = counts.and_then(|count| count.trim().parse::<u64>().ok());
        number.with_context(|| format!("h2load does not say how many{what}:\n{text}"))
    };
    let requests = count("requests:", " done")?;
    let lost = count("requests:", " failed")? + count("requests:", " errored")?;
    if lost > 0 || requests == 0 || count("status codes:", " 2xx")? < requests {
        bail!("{requests} requests, not all of them answered with success:\n{text}");
    }
    let speed = text.lines().find(|line| line.starts_with("finished in"));
    let speed = speed.and_then(|line| line.split(", ").find_map(|part| part.strip_suffix(" req/s")));
    let requests_per_second = speed.and_then(|speed| speed.parse().ok());
    let requests_per_second = requests_per_second.with_context(|| format!("h2load has no speed:\n{text}"))?;
    Ok(Load { requests, requests_per_second, p50: None, p99: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const H2LOAD: &str = "\
finished in 1.00s, 43210.50 req/s, 2.68MB/s
requests: 43210 total, 43274 started, 43210 done, 43210 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 43274 2xx, 0 3xx, 0 4xx, 0 5xx
";

    #[test]
    fn what_h2load_says() {
        let load = h2load_result(H2LOAD).unwrap();
        assert_eq!((load.requests, load.requests_per_second, load.p50), (43210, 43210.5, None));
    }

    #[test]
    fn an_answer_that_is_no_success_fails_the_load() {
        h2load_result(&H2LOAD.replace("0 errored", "3 errored")).unwrap_err();
        h2load_result(&H2LOAD.replace("43274 2xx", "40000 2xx")).unwrap_err();
        let wrk = r#"{"requests":9,"microseconds":500000,"p50":100,"p99":200,"socket_errors":0,"refused":0}"#;
        let load = wrk_result(&format!("Running\n{wrk}\n")).unwrap();
        assert_eq!(load, Load { requests: 9, requests_per_second: 18.0, p50: Some(0.1), p99: Some(0.2) });
        wrk_result(&wrk.replace("\"refused\":0", "\"refused\":1")).unwrap_err();
        wrk_result(&wrk.replace("\"socket_errors\":0", "\"socket_errors\":1")).unwrap_err();
        wrk_result("nothing").unwrap_err();
    }
}
