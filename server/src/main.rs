//! The program `decima-server`: reads the settings, and serves.

use std::{io::Write, path::Path, process::ExitCode};

use decima_server::{
    app::{self, AppError},
    cli,
    config::{Config, Host, Resolved},
    executor,
    platform::{
        environment::Environment,
        exit::{Exit, TERMINATION_LOG, report_fatal},
        process,
        workers::Workers,
    },
    telemetry::{self, Traces},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = start();
    if executor::has_stoppable_runs() {
        process::end_at_once(exit as u8);
    }
    exit.into()
}

#[expect(clippy::print_stderr, reason = "before logging is set up")]
fn start() -> Exit {
    let configured = process::configure_libraries(); // first of all, while the process has one thread
    #[cfg(target_os = "linux")]
    process::huge_pages_off();
    let args = match cli::Args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            let _unwritable = error.print();
            return cli::exit(&error);
        }
    };
    if let Some(page) = args.generate {
        let _closed_pipe = cli_pages::write(cli::documented(), page, &mut std::io::stdout());
        return Exit::Drained;
    }
    let environment = Environment::of_process();
    let resolved = match Config::load(&args.flags, &environment, &Host::detect()) {
        Ok(resolved) => resolved,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Usage;
        }
    };
    if args.print_config {
        let _closed_pipe = writeln!(std::io::stdout(), "{}", resolved.to_toml());
        return Exit::Drained;
    }
    serve(resolved, &environment, configured)
}

#[expect(clippy::print_stderr, reason = "before logging is set up")]
fn serve(resolved: Resolved, environment: &Environment, configured: std::io::Result<()>) -> Exit {
    if let Err(error) = telemetry::log::init(&resolved.config.log, environment) {
        eprintln!("cannot set up logging: {error}");
        return Exit::Failure;
    }
    if let Err(error) = configured {
        tracing::warn!(%error, "cannot configure libraries: ONNX Runtime may send telemetry and use more memory");
    }
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let threads = resolved.config.execution.threads.get();
    // The workers serve requests. This thread accepts connections and watches the model repositories.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime.and_then(|runtime| Ok((runtime, Workers::start(threads)?))) {
        Ok((runtime, workers)) => {
            let served = runtime.block_on(async {
                let (traces, warnings) = Traces::from_environment(environment);
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                app::run(resolved.config, environment, traces, workers).await
            });
            runtime.shutdown_background(); // does not wait for what outlived the drain
            served
        }
        Err(error) => Err(AppError::System(format!("cannot start threads: {error}"))),
    };
    let Err(error) = served else { return Exit::Drained };
    tracing::error!("{error}");
    if let Err(unwritable) = report_fatal(Path::new(TERMINATION_LOG), &error.to_string()) {
        tracing::debug!(%unwritable, "cannot write {TERMINATION_LOG}");
    }
    match error {
        AppError::NoLibrary(_) | AppError::Runtime(_) | AppError::Repository(_) => Exit::Load,
        AppError::Access(_) => Exit::Usage,
        AppError::Listen { .. } | AppError::CutOff(_) | AppError::System(_) => Exit::Failure,
    }
}
