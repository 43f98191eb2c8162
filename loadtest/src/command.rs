//! Runs the program, from its arguments to its report.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    check::Checker,
    cli::Args,
    inputs::{self, Sizes},
    progress::{Progress, TICK},
    recorder::Recorder,
    report::{LoadShape, Outcome, Report, Target},
    run::{Case, Load, Run, SharedRecorder, merged},
    schedule::{Pace, Schedule},
    transport::{Grpc, Http, Transport, Wire},
};

/// Runs the load test. Ctrl-C ends it early, with a report of the time until then.
///
/// # Errors
/// The server or the model cannot be reached, or no request can be generated for the model.
pub async fn measure(args: &Args, schedule: Schedule) -> Result<Report> {
    let (url, headers) = (args.url.clone(), args.header.clone());
    let (model, version) = (args.model.as_str(), args.model_version.as_deref());
    match args.wire {
        Wire::Json => measure_over(Http::new(url, headers, model, version, false), args, schedule).await,
        Wire::Binary => measure_over(Http::new(url, headers, model, version, true), args, schedule).await,
        Wire::Grpc => measure_over(Grpc::new(url, headers, model, version), args, schedule).await,
    }
}

/// Runs the load test over one transport.
async fn measure_over<T: Transport>(transport: T, args: &Args, schedule: Schedule) -> Result<Report> {
    let unanswered = || format!("{} does not describe model '{}'", args.url, args.model);
    let (server, model) = transport.describe().await.with_context(unanswered)?;
    let model = model.checked()?;
    let payloads = if let Some(path) = &args.body {
        vec![inputs::read(path, &model)?]
    } else {
        let sizes = Sizes { rows: args.rows as usize, shapes: &args.shape };
        inputs::make(&model, sizes, args.distinct.into(), args.seed)?
    };
    let rows = payloads[0].rows;
    let cases = payloads
        .iter()
        .map(|payload| {
            let checker = Checker::new(&model, payload, args.tolerance)?;
            Ok(Case { request: transport.prepare(payload)?, checker })
        })
        .collect::<Result<Vec<_>>>()?;
    let shape = load_shape(args, schedule, rows, cases.len());
    let target = Target {
        url: args.url.to_string(),
        server_name: server.name,
        server_version: server.version,
        model: model.name,
        model_version: args.model_version.clone(),
    };
    let load = Load { transport, cases, schedule, timeout: args.timeout };
    drive(load, shape, target, args.quiet).await
}

/// Runs the load on its own threads. This task shows progress and waits for Ctrl-C.
async fn drive<T: Transport>(load: Load<T>, shape: LoadShape, target: Target, quiet: bool) -> Result<Report> {
    let stop = CancellationToken::new();
    // Installed before the first request, so that Ctrl-C never ends the program without a report.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let recorders: Vec<SharedRecorder> =
        (0..shape.threads).map(|_| Arc::new(Mutex::new(Recorder::new()))).collect();
    let mut progress = Progress::new(load.schedule, quiet);
    let run = Run::new(load, stop.clone());
    let mut threads = JoinSet::new();
    for (index, recorder) in recorders.iter().enumerate() {
        let share = (shape.connections + index) / shape.threads;
        let (run, recorder) = (Arc::clone(&run), Arc::clone(recorder));
        threads.spawn_blocking(move || run.work(share, &recorder));
    }
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            ended = threads.join_next() => match ended {
                Some(ended) => ended.context("a thread of the load tester panicked")??,
                None => break,
            },
            _ = tick.tick() => progress.show(run.start().elapsed(), &merged(&recorders)),
            _ = interrupt.recv() => stop.cancel(),
        }
    }
    let window = run.window(Instant::now());
    progress.finish();
    let (schedule, recorder) = (run.schedule(), &merged(&recorders));
    Ok(Report::new(target, shape, Outcome { schedule, recorder, window, interrupted: stop.is_cancelled() }))
}

/// Writes the report as a table, and also as JSON if `json` is given.
///
/// # Errors
/// The file or standard output cannot be written.
pub fn write(report: &Report, json: Option<&Path>) -> Result<()> {
    let Some(path) = json else {
        return write!(std::io::stdout(), "{report}").context("cannot write to standard output");
    };
    let text = serde_json::to_string_pretty(report)? + "\n";
    if path == Path::new("-") {
        write!(std::io::stderr(), "{report}").context("cannot write to standard error")?;
        return write!(std::io::stdout(), "{text}").context("cannot write to standard output");
    }
    std::fs::write(path, text).with_context(|| format!("--json {}", path.display()))?;
    write!(std::io::stdout(), "{report}").context("cannot write to standard output")
}

fn load_shape(args: &Args, schedule: Schedule, rows: usize, distinct_requests: usize) -> LoadShape {
    let (pace, rate_per_second) = match schedule.pace {
        Pace::Closed => ("closed", None),
        Pace::Open { rate } => ("open", Some(rate)),
    };
    let wire = args.wire.to_possible_value().expect("no wire is hidden").get_name().to_owned();
    let connections = usize::from(args.connections);
    LoadShape {
        pace,
        rate_per_second,
        wire,
        connections,
        threads: connections.min(args.threads.into()),
        rows_per_request: rows,
        distinct_requests,
        warmup_seconds: schedule.warmup.as_secs_f64(),
        timeout_seconds: args.timeout.as_secs_f64(),
        seed: args.seed,
    }
}
