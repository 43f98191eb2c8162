//! What each subcommand does.

mod data;
mod latest;
mod publish;
mod train;

use anyhow::Result;

use crate::cli::Command;

/// Runs one command.
///
/// # Errors
/// Whatever keeps it from its end, with the file or address and the mend.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Fetch(args) => data::fetch(&args),
        Command::Synth(args) => data::synth(&args),
        Command::Prepare(args) => data::prepare(&args),
        Command::Latest(args) => latest::latest(&args),
        Command::Train(args) => train::train(&args),
        Command::Evaluate(args) => train::evaluate(&args),
        Command::Export(args) => train::export(&args),
        Command::Publish(args) => publish::publish(&args),
        Command::Run(args) => train::run(&args),
    }
}

/// How to reach an S3 store, as the environment says.
fn storage_settings() -> Result<storage::Settings> {
    Ok(storage::Settings::from_env(&|name| std::env::var(name).ok())?)
}
