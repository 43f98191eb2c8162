//! `bench-serve` measures the CPU time that `decima-server` takes for a request, and compares it with the limit: the
//! CPU time of raw ONNX Runtime plus that of a bare axum server. `docs/PERFORMANCE.md` describes the method.

mod beside;
mod cases;
mod distance;
mod echo;
mod load;
mod measure;
mod models;
mod open_loop;
mod process;
mod raw;
mod requests;
mod table;
mod verify;

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use measure::Plan;
use table::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc; // the same allocator as the server's

/// Measures the server's CPU time per request and compares it with the limit: raw ONNX Runtime plus a bare axum server.
#[derive(Debug, Parser)]
#[command(name = "bench-serve", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Number of rounds. The table has the medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of each load in seconds.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Worker threads of the measured server and of the bare server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Measure only rows whose name contains this text, as in `--only "small gRPC"`. May be repeated.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only check that everything runs and that responses are correct: one round of 1 s loads.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    check: bool,
    /// Write the results to this file as JSON, with the figures of each round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare request rates with this server, instead of CPU time with the limit. Measures only rows that have a goal
    /// for it.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "json")]
    beside: Option<PathBuf>,
    /// Path of decima-server [default: in the same folder as this program].
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serve a fixed response: the bare server, run as a separate process.
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        threads: usize,
        /// Microseconds of busy work before each response.
        #[arg(long, default_value_t = 0)]
        work: u64,
    },
}

fn main() -> ExitCode {
    match start(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    if let Some(Part::Echo { threads, work }) = args.part {
        return echo::serve(threads, Duration::from_micros(work));
    }
    let beside = |program: &str| anyhow::Ok(std::env::current_exe()?.with_file_name(program));
    let (rounds, seconds) = if args.check { (1, 1) } else { (args.rounds, args.seconds) };
    let mut plan = Plan {
        rounds: rounds as usize,
        seconds,
        threads: args.threads as usize,
        cases: cases::chosen(&args.only)?,
        server: args.server.map_or_else(|| beside("decima-server"), Ok)?,
        loadtest: beside("decima-loadtest")?,
    };
    if let Some(program) = &args.beside {
        plan.cases.retain(|case| case.least_rate.is_some());
        ensure!(
            !plan.cases.is_empty(),
            "--only: rates are compared in rows of one picture at 64 connections"
        );
        write!(std::io::stdout(), "{}", beside::run(&plan, program)?)?;
        return Ok(());
    }
    let (rounds, onnxruntime) = measure::run(&plan)?;
    let report = Report::new(&plan, &rounds, &onnxruntime);
    if let Some(file) = &args.json {
        fs::write(file, format!("{:#}\n", report.json()))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    write!(std::io::stdout(), "{}", report.markdown())?;
    Ok(())
}

/// Writes progress to standard error.
fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}
