//! The `decima-trainer` program.

use std::process::ExitCode;

use clap::Parser;
use decima_trainer::cli::Cli;
use decima_trainer::interrupt::Interrupted;
use decima_trainer::{commands, console};

/// Exit code after Ctrl-C: 128 plus the number of the signal (SIGINT is 2), as shells expect.
const INTERRUPTED: u8 = 130;
/// Exit code for a command line that cannot be understood (`EX_USAGE` of sysexits).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // This fails only when the output is closed, and then nobody reads it.
            let _ = error.print();
            return code;
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::progress(&format!("decima-trainer: {error:#}"));
            if error.is::<Interrupted>() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}
