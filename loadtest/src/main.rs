//! The program `decima-loadtest`.

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use decima_loadtest::{cli::Args, command};

/// Exit code for a command line that is not valid (`EX_USAGE` of `sysexits.h`).
const USAGE: u8 = 64;
/// Exit code after Ctrl-C: 128 plus the number of SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // If the terminal is gone, the message cannot be shown anywhere.
            drop(error.print());
            return if is_help { ExitCode::SUCCESS } else { USAGE.into() };
        }
    };
    if let Some(page) = args.generate {
        // If the reader has gone, the page cannot be shown anywhere.
        drop(cli_pages::write(Args::command(), page, &mut std::io::stdout()));
        return ExitCode::SUCCESS;
    }
    let schedule = match args.schedule() {
        Ok(schedule) => schedule,
        Err(error) => return fail(&error, USAGE.into()),
    };
    let report = match command::measure(&args, schedule).await {
        Ok(report) => report,
        Err(error) => return fail(&error, ExitCode::FAILURE),
    };
    match command::write(&report, args.json.as_deref()) {
        Err(error) => fail(&error, ExitCode::FAILURE),
        Ok(()) if !report.is_good() => ExitCode::FAILURE,
        Ok(()) if report.interrupted => INTERRUPTED.into(),
        Ok(()) => ExitCode::SUCCESS,
    }
}

fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    drop(writeln!(std::io::stderr(), "decima-loadtest: {error:#}"));
    code
}
