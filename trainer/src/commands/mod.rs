//! The subcommands, one module for each topic.

mod data;
mod deploy;
mod gate;
mod latest;
mod publish;
mod train;

use anyhow::{Result, anyhow};
use clap::CommandFactory;

use crate::cli::{Cli, Command, GenerateArgs};
use crate::kfp::Step;
use crate::outcome::Outcome;

/// Runs one command.
///
/// # Errors
/// Whatever stops the command. The message names the file or address and says what to do.
pub fn run(cli: Cli) -> Result<()> {
    let Cli { command, executor_input } = cli;
    let step = executor_input.as_deref().map(Step::parse).transpose()?;
    if let Some(step) = &step {
        let (name, given) = command.output_parameters();
        step.expect(name, given)?;
    }
    let outcome = work(&command)?;
    if let Some(step) = step {
        step.write(&outcome)?;
    }
    // The work is done and reported; the user asked to exit with an error on this result.
    outcome.failure.map_or(Ok(()), |reason| Err(anyhow!(reason)))
}

fn work(command: &Command) -> Result<Outcome> {
    match command {
        Command::Fetch(args) => data::fetch(args),
        Command::Synth(args) => data::synth(args),
        Command::Prepare(args) => data::prepare(args),
        Command::Latest(args) => latest::latest(args),
        Command::Train(args) => train::train(args),
        Command::Evaluate(args) => train::evaluate(args),
        Command::Export(args) => train::export(args),
        Command::Gate(args) => gate::gate(args),
        Command::Publish(args) => publish::publish(args),
        Command::Deploy(args) => deploy::deploy(args),
        Command::Run(args) => train::run(args),
        Command::Generate(args) => generate(args),
    }
}

impl Command {
    /// The command's name, and the names of its output parameters for later steps of a pipeline.
    fn output_parameters(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Fetch(_) => ("fetch", &[]),
            Self::Synth(_) => ("synth", data::DATASET),
            Self::Prepare(_) => ("prepare", data::DATASET),
            Self::Latest(_) => ("latest", latest::LATEST),
            Self::Train(_) => ("train", train::TRAIN),
            Self::Evaluate(_) => ("evaluate", train::EVALUATE),
            Self::Export(_) => ("export", train::EXPORT),
            Self::Gate(_) => ("gate", gate::GATE),
            Self::Publish(_) => ("publish", publish::PUBLISH),
            Self::Deploy(_) => ("deploy", deploy::DEPLOY),
            Self::Run(_) => ("run", train::RUN),
            Self::Generate(_) => ("generate", &[]),
        }
    }
}

fn generate(args: &GenerateArgs) -> Result<Outcome> {
    cli_pages::write(Cli::command(), args.page, &mut std::io::stdout())?;
    Ok(Outcome::default())
}

/// The settings of the S3 store, read from the environment.
fn storage_settings() -> Result<storage::Settings> {
    Ok(storage::Settings::from_env(&|name| std::env::var(name).ok())?)
}
