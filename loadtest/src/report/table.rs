//! Writes the report as a table.

use std::fmt;

use super::{Percentiles, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        let requests = &self.requests;
        writeln!(
            f,
            "  requests    {} succeeded, {} wrong, {} failed",
            grouped(requests.succeeded),
            grouped(requests.wrong),
            grouped(requests.failed)
        )?;
        let throughput = &self.throughput;
        writeln!(
            f,
            "  throughput  {} requests/s, {} rows/s",
            rate(throughput.requests_per_second),
            rate(throughput.rows_per_second)
        )?;
        let from = if self.send_delay_seconds.is_some() { "the intended send time" } else { "sending" };
        writeln!(f)?;
        writeln!(f, "  {:<22}{}", "milliseconds from", HEADINGS.map(|name| format!("{name:>10}")).concat())?;
        write_row(f, from, self.latency_seconds.as_ref())?;
        if let Some(delay) = &self.send_delay_seconds {
            write_row(f, "  part before sending", Some(delay))?;
        }
        for (index, error) in self.errors.iter().enumerate() {
            let title = if index == 0 { "\n  errors\n" } else { "" };
            writeln!(f, "{title}  {:>10}  {}: {}", grouped(error.count), error.kind, error.first_message)?;
        }
        Ok(())
    }
}

const HEADINGS: [&str; 6] = ["mean", "p50", "p90", "p99", "p99.9", "max"];

impl Report {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, load) = (&self.target, &self.load);
        let version =
            target.model_version.as_ref().map(|version| format!(" version {version}")).unwrap_or_default();
        let rows = if load.rows_per_request == 1 { "row" } else { "rows" };
        writeln!(
            f,
            "{} {} at {}: model {}{version}, {}, {} {rows} a request",
            target.server_name,
            target.server_version,
            target.url,
            target.model,
            load.wire,
            load.rows_per_request
        )?;
        let pace = match load.rate_per_second {
            Some(rate) => {
                format!("open loop of {rate} requests/s over up to {} connections", load.connections)
            }
            None => format!("closed loop over {} connections", load.connections),
        };
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        writeln!(
            f,
            "{pace}, {:.1} s measured after {:.1} s of warm-up{interrupted}\n",
            self.measured_seconds, load.warmup_seconds
        )
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, times: Option<&Percentiles>) -> fmt::Result {
    write!(f, "  {name:<22}")?;
    let Some(times) = times else { return writeln!(f, "{:>10}", "none") };
    for seconds in [times.mean, times.p50, times.p90, times.p99, times.p999, times.max] {
        write!(f, "{:>10.3}", seconds * 1e3)?;
    }
    writeln!(f)
}

/// A number with commas between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate; a small one is written with decimals.
fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.2}") } else { grouped(rate.round() as u64) }
}
