//! Medians of all rounds, with the goals, as Markdown and as JSON.

use std::{fmt::Write as _, fs, process::Command};

use serde_json::{Value, json};

use crate::{
    cases::{Case, Goal, Model, Wire},
    measure::{Plan, Round, Sample},
    open_loop::OpenLoop,
};

/// Medians of a row. CPU times are in microseconds per request.
#[derive(Clone, Copy, Debug)]
struct Row {
    limit: f64,
    server: f64,
    computing_floor: Option<f64>,
    requests_per_second: f64,
    /// In milliseconds.
    p50: Option<f64>,
    p99: Option<f64>,
    open_loop: Option<OpenLoop>,
    batch_rows: f64,
}

impl Row {
    /// `raw` is the CPU time of raw ONNX Runtime, a part of the limit.
    fn new(samples: &[Sample], raw: f64) -> Self {
        let each = |of: &dyn Fn(&Sample) -> f64| median(samples.iter().map(of).collect());
        let known = |of: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| median(values))
        };
        Self {
            limit: raw + each(&|sample| sample.floor),
            server: each(&|sample| sample.server),
            computing_floor: known(&|sample| sample.computing_floor),
            requests_per_second: each(&|sample| sample.load.requests_per_second),
            p50: known(&|sample| sample.load.p50),
            p99: known(&|sample| sample.load.p99),
            open_loop: known(&|sample| Some(sample.open_loop?.p50)).map(|p50| OpenLoop {
                requests_per_second: each(&|sample| {
                    sample.open_loop.map_or(0.0, |open| open.requests_per_second)
                }),
                p50,
                p99: each(&|sample| sample.open_loop.map_or(0.0, |open| open.p99)),
            }),
            batch_rows: each(&|sample| sample.batch_rows),
        }
    }

    fn ratio(&self) -> f64 {
        self.server / self.limit
    }

    fn meets(&self, goal: Goal) -> bool {
        match goal {
            Goal::Ratio(most) => self.ratio() <= most,
            Goal::Micros(most) => self.server <= most,
        }
    }
}

/// The results of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    rounds: &'a [Round],
    rows: Vec<(Case, Row)>,
    core_round_trips: Vec<f64>,
    ready_ms: f64,
    resident_mib: f64,
    about: String,
}

impl<'a> Report<'a> {
    pub(crate) fn new(plan: &Plan, rounds: &'a [Round], onnxruntime: &str) -> Self {
        let samples = |index: usize| rounds.iter().map(|round| round.samples[index]).collect::<Vec<_>>();
        // Rows with the same model and batch size share one figure, the median over their measurements in all rounds.
        let raw = |case: &Case| {
            let alike = |other: &Case| (other.model, other.raw_rows()) == (case.model, case.raw_rows());
            let alike = plan.cases.iter().enumerate().filter(|(_, other)| alike(other));
            let a_picture = alike.flat_map(|(index, other)| {
                samples(index).into_iter().map(|sample| sample.raw / other.pictures as f64)
            });
            median(a_picture.collect()) * case.pictures as f64
        };
        let row = |(index, case): (usize, &Case)| (*case, Row::new(&samples(index), raw(case)));
        let rows = plan.cases.iter().enumerate().map(row).collect();
        Self {
            rounds,
            rows,
            core_round_trips: rounds.iter().filter_map(|round| round.core_round_trip).collect(),
            ready_ms: median(rounds.iter().map(|round| round.ready_after.as_secs_f64() * 1e3).collect()),
            resident_mib: median(rounds.iter().map(|round| round.resident_mib).collect()),
            about: about(plan, onnxruntime),
        }
    }

    /// The rows with one picture per request and 64 connections.
    fn single_picture_rows(&self) -> impl Iterator<Item = &(Case, Row)> {
        self.rows.iter().filter(|(case, _)| case.connections == 64)
    }

    /// p99 divided by p50 for `small` at 64 connections, for each encoding with a known latency.
    fn tails(&self) -> impl Iterator<Item = (Wire, f64)> {
        let small = self.single_picture_rows().filter(|(case, _)| case.model == Model::Small);
        small.filter_map(|(case, row)| Some((case.wire, row.p99? / row.p50?)))
    }

    /// The results as Markdown: the table and further figures.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.about);
        text.push_str("| row | limit us | server us | ratio | goal | met? | req/s | p50 ms | p99 ms |\n");
        text.push_str("|---|--:|--:|--:|--:|---|--:|--:|--:|\n");
        for (case, row) in &self.rows {
            let goal = match case.goal {
                Goal::Ratio(most) => format!("≤ {most:.2}"),
                Goal::Micros(most) => format!("≤ {most} us"),
            };
            let met = if row.meets(case.goal) { "yes" } else { "no" };
            let millis = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let _infallible = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {:.2} | {goal} | {met} | {:.0} | {} | {} |",
                case.name(),
                row.limit,
                row.server,
                row.ratio(),
                row.requests_per_second,
                millis(row.p50),
                millis(row.p99)
            );
        }
        text.push('\n');
        text.push_str(&self.facts());
        text
    }

    fn facts(&self) -> String {
        let batches = self
            .single_picture_rows()
            .map(|(case, row)| format!("{} {} {:.1}", case.model.name(), case.wire.name(), row.batch_rows));
        let tails = self.tails().map(|(wire, tail)| format!("{} {tail:.2}", wire.name()));
        let computing = |(case, row): &(Case, Row)| {
            let micros = row.computing_floor?;
            Some(format!("{} {micros:.1} us ({:.2} of the limit)", case.wire.name(), micros / row.limit))
        };
        let computing: Vec<_> = self.rows.iter().filter_map(computing).collect();
        let open_loop = |(case, row): &(Case, Row)| {
            let OpenLoop { requests_per_second, p50, p99 } = row.open_loop?;
            let (model, wire) = (case.model.name(), case.wire.name());
            Some(format!("{model} {wire} {requests_per_second:.0}/s {p50:.2} and {p99:.2} ms"))
        };
        let open_loop: Vec<_> = self.single_picture_rows().filter_map(open_loop).collect();
        let distances = self.core_round_trips.iter().map(|distance| format!("{distance:.0}"));
        let crowding = self.rounds.iter().map(|round| format!("{:.2}", round.crowding));
        format!(
            "- Mean rows of a batch at 64 connections: {}\n\
             - p99 / p50 of `small` at 64 connections: {}\n\
             - p50 and p99 at half the rate (open loop, from when a request was due): {}\n\
             - CPU time of a bare server that is busy for as long as ONNX Runtime before it answers, 1 connection: {}\n\
             - Round trip of a cache line between two cores, ns in each round: {}\n\
             - Time of an ONNX Runtime run on all cores at once, relative to one alone, in each round: {}\n\
             - From start to ready: {:.0} ms\n\
             - Resident memory after the loads: {:.0} MiB\n",
            batches.collect::<Vec<_>>().join(", "),
            tails.collect::<Vec<_>>().join(", "),
            open_loop.join(", "),
            computing.join(", "),
            distances.collect::<Vec<_>>().join(", "),
            crowding.collect::<Vec<_>>().join(", "),
            self.ready_ms,
            self.resident_mib
        )
    }

    /// The results as JSON, with the figures of each round.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().enumerate().map(|(index, (case, row))| {
            let (goal_ratio, goal_us) = match case.goal {
                Goal::Ratio(most) => (Some(most), None),
                Goal::Micros(most) => (None, Some(most)),
            };
            let rounds = self.rounds.iter().map(|round| round_json(&round.samples[index]));
            json!({
                "row": case.name(),
                "model": case.model.name(),
                "wire": case.wire.name().to_lowercase(),
                "pictures": case.pictures,
                "connections": case.connections,
                "limit_us": row.limit,
                "server_us": row.server,
                "ratio": row.ratio(),
                "goal_ratio": goal_ratio,
                "goal_us": goal_us,
                "met": row.meets(case.goal),
                "requests_per_second": row.requests_per_second,
                "p50_ms": row.p50,
                "p99_ms": row.p99,
                "open_loop": row.open_loop.map(|open| json!({
                    "requests_per_second": open.requests_per_second, "p50_ms": open.p50, "p99_ms": open.p99,
                })),
                "batch_rows": row.batch_rows,
                "rounds": rounds.collect::<Vec<_>>(),
            })
        });
        json!({
            "date": today(),
            "about": self.about,
            "rows": rows.collect::<Vec<_>>(),
            "core_round_trips_ns": self.core_round_trips,
            "crowding": self.rounds.iter().map(|round| round.crowding).collect::<Vec<_>>(),
            "ready_ms": self.ready_ms,
            "resident_mib": self.resident_mib,
        })
    }
}

fn round_json(sample: &Sample) -> Value {
    json!({
        "raw_us": sample.raw,
        "floor_us": sample.floor,
        "server_us": sample.server,
        "computing_floor_us": sample.computing_floor,
        "ratio": sample.server / (sample.raw + sample.floor),
        "requests": sample.load.requests,
    })
}

/// What was measured, on which machine and with which versions: the line above a table.
pub(crate) fn about(plan: &Plan, onnxruntime: &str) -> String {
    format!(
        "{}; commit {}; ONNX Runtime {onnxruntime}; {} worker threads; medians of {} rounds, {} s a load.",
        machine(),
        commit(),
        plan.threads,
        plan.rounds,
        plan.seconds
    )
}

/// The median. The mean of the middle two for an even number of values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(below, above)
}

/// The processor's name and the number of cores, as Linux reports them.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split_once(": ")).map_or(std::env::consts::ARCH, |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {cores} cores")
}

/// The date in UTC, as in `2026-01-31`.
fn today() -> Option<String> {
    let output =
        Command::new("date").args(["-u", "+%F"]).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The commit of the working copy. Unknown outside a git checkout.
fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let described = described.ok().filter(|output| output.status.success());
    let text = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let close = |values: &[f64], expected: f64| (median(values.to_vec()) - expected).abs() < 1e-9;
        assert!(close(&[3.0, 1.0, 2.0], 2.0));
        assert!(close(&[4.0, 1.0, 2.0, 3.0], 2.5));
        assert!(close(&[5.0], 5.0));
    }
}
