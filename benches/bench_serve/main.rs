//! `bench-serve`: how much CPU time `decima-server` takes for a request beside the least that it could take, raw
//! ONNX Runtime and a bare axum server. `docs/PERFORMANCE.md` says how and why.

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
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc; // as the server has it

/// Measures the CPU time of a request beside its limit: raw ONNX Runtime and a bare axum server.
#[derive(Debug, Parser)]
#[command(name = "bench-serve", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Rounds; the table has their medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each load.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Worker threads of either server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Only rows whose name contains this, as in `--only "small gRPC"`; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// One round of 1 s loads: does everything run, and is everything answered right?
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    check: bool,
    /// Writes the same figures here, with those of each round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Another server: compares rates with it, in rows that have such a goal, instead of the time with the limit.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "json")]
    beside: Option<PathBuf>,
    /// The server's program [default: the one beside this program].
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serves fixed bytes: the floor, as a process of its own.
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        threads: usize,
        /// Microseconds of work before each answer.
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

/// Tells whoever waits, on standard error.
fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}
