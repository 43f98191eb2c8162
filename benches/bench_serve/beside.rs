//! Runs the same loads against another server, and compares the request rates.
//!
//! Both servers are restarted for each load, so that the placement of one process (its memory, the cores of its
//! threads) affects only one load. They take turns to be measured first.

use std::{fmt::Write as _, path::Path};

use anyhow::Context as _;

use crate::{
    cases::Case,
    measure::{Bench, Plan},
    process::Server,
    requests::Call,
    say,
    table::{about, median},
    verify::{self, Metrics},
};

/// Figures of one server under one load.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// CPU time per request, in microseconds.
    micros: f64,
    requests_per_second: f64,
}

/// Figures of both servers under one load, measured one right after the other.
#[derive(Clone, Copy, Debug)]
struct Pair {
    other: Figures,
    ours: Figures,
}

impl Pair {
    fn ratio_of_rates(&self) -> f64 {
        self.ours.requests_per_second / self.other.requests_per_second
    }
}

/// Runs the loads against `decima-server` and against the other server, `program`. Returns the table.
///
/// # Errors
/// A server or load program does not start or fails, or a response is wrong.
pub(crate) fn run(plan: &Plan, program: &Path) -> anyhow::Result<String> {
    let bench = Bench::prepare(plan)?;
    let mut pairs = vec![Vec::new(); plan.cases.len()];
    for number in 1..=plan.rounds {
        for ((case, call), pairs) in bench.loads().zip(&mut pairs) {
            let is_first = number % 2 == 1;
            let pair = pair(&bench, case, call, program, is_first).with_context(|| case.name())?;
            let (rounds, ratio) = (plan.rounds, pair.ratio_of_rates());
            say(&format!("round {number} of {rounds}, {}: {ratio:.2} of the other's rate", case.name()));
            pairs.push(pair);
        }
    }
    Ok(format!("{}\n\n{}", about(plan, bench.onnxruntime()), table(&plan.cases, &pairs)))
}

fn pair(bench: &Bench<'_>, case: &Case, call: &Call, program: &Path, is_first: bool) -> anyhow::Result<Pair> {
    let other = || {
        let other = Server::other(program, &bench.model_path(case.model), case.model.name(), case.wire)?;
        figures(bench, case, call, &other).with_context(|| program.display().to_string())
    };
    let early = if is_first { Some(other()?) } else { None };
    let server = bench.server()?;
    let ours = figures(bench, case, call, &server)?;
    Metrics::read(&server)?.ensure_all_answered()?;
    drop(server);
    Ok(Pair { other: early.map_or_else(other, Ok)?, ours })
}

fn figures(bench: &Bench<'_>, case: &Case, call: &Call, server: &Server) -> anyhow::Result<Figures> {
    verify::check(server, case, call, &mut bench.raw(case.model)?)?;
    bench.warm_up(case, call, server)?;
    let (micros, load) = bench.load(case, call, server)?;
    Ok(Figures { micros, requests_per_second: load.requests_per_second })
}

/// The table with the medians of each load.
fn table(cases: &[Case], pairs: &[Vec<Pair>]) -> String {
    let mut text = "| row | its us | ours | its req/s | ours | ratio of rates | goal | met? |\n".to_owned();
    text.push_str("|---|--:|--:|--:|--:|--:|--:|---|\n");
    for (case, pairs) in cases.iter().zip(pairs) {
        let each = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        let middle = |of: &dyn Fn(&Pair) -> f64| median(each(of));
        let mut ratios = each(&Pair::ratio_of_rates);
        ratios.sort_by(f64::total_cmp);
        let ratio = median(ratios.clone());
        let least = case.least_rate.unwrap_or_default();
        let _infallible = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} | {ratio:.2} ({:.2} to {:.2}) | ≥ {least:.1} | {} |",
            case.name(),
            middle(&|pair| pair.other.micros),
            middle(&|pair| pair.ours.micros),
            middle(&|pair| pair.other.requests_per_second),
            middle(&|pair| pair.ours.requests_per_second),
            ratios[0],
            ratios[ratios.len() - 1],
            if ratio >= least { "yes" } else { "no" }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_the_median_of_the_pairs() {
        let case = crate::cases::chosen(&["small JSON, 64".to_owned()]).unwrap();
        let figures = |requests_per_second| Figures { micros: 50.0, requests_per_second };
        let pair = |other, ours| Pair { other: figures(other), ours: figures(ours) };
        let text = table(&case, &[vec![pair(100.0, 150.0), pair(200.0, 240.0), pair(100.0, 100.0)]]);
        let row =
            "| small JSON, 64 connections | 50.0 | 50.0 | 100 | 150 | 1.20 (1.00 to 1.50) | ≥ 1.3 | no |\n";
        assert!(text.ends_with(row), "{text}");
    }
}
