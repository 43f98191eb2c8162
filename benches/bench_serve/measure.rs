//! Runs the measurement in rounds. In each round, every load runs against raw ONNX Runtime, the bare server and
//! `decima-server`, one right after the other, so that a change in the machine's speed affects all three.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use benches::{pictures, runtime};
use decima_server::executor::Runtime;
use tempfile::TempDir;

use crate::{
    cases::{BATCH, Case, Model},
    distance,
    load::{self, Load},
    models,
    open_loop::{self, OpenLoop},
    process::Server,
    raw::{self, Raw},
    requests::Call,
    say,
    verify::{self, Metrics},
};

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Length of each load, in seconds.
    pub(crate) seconds: u32,
    /// Worker threads of each server.
    pub(crate) threads: usize,
    /// The rows of the table.
    pub(crate) cases: Vec<Case>,
    /// Path of `decima-server`.
    pub(crate) server: PathBuf,
    /// Path of `decima-loadtest`.
    pub(crate) loadtest: PathBuf,
}

/// Figures of one load in one round. CPU times are in microseconds per request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU time of raw ONNX Runtime, a part of the limit.
    pub(crate) raw: f64,
    /// CPU time of the bare server, a part of the limit.
    pub(crate) floor: f64,
    pub(crate) server: f64,
    /// CPU time of a bare server that is busy for as long as ONNX Runtime before each response. Measured at one
    /// connection: client and server take turns there, and the cost of waking a thread depends on how long it has
    /// slept.
    pub(crate) computing_floor: Option<f64>,
    pub(crate) load: Load,
    /// Figures of the same requests in an open loop, at a fixed rate.
    pub(crate) open_loop: Option<OpenLoop>,
    /// Mean batch size in rows.
    pub(crate) batch_rows: f64,
}

/// Figures of one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// One sample for each of [`Plan::cases`], in their order.
    pub(crate) samples: Vec<Sample>,
    /// Round trip of a cache line between two cores, in nanoseconds. `None` on one core.
    pub(crate) core_round_trip: Option<f64>,
    /// Time of a run of the small model while all cores run it, divided by its time on one core alone.
    pub(crate) crowding: f64,
    /// Time from the server's start until it was ready.
    pub(crate) ready_after: Duration,
    /// The server's resident memory after all loads, in MiB.
    pub(crate) resident_mib: f64,
}

/// The programs, files and requests of a measurement.
pub(crate) struct Bench<'a> {
    plan: &'a Plan,
    /// Folder for the models and for the files of the load programs.
    folder: TempDir,
    runtime: Runtime,
    /// One request for each of [`Plan::cases`], in their order.
    calls: Vec<Call>,
}

/// Runs all rounds. Returns their figures and the version of ONNX Runtime.
///
/// # Errors
/// A server or load program does not start or fails, or a response is wrong.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<(Vec<Round>, String)> {
    let bench = Bench::prepare(plan)?;
    let rounds = (1..=plan.rounds).map(|number| bench.round(number)).collect::<Result<_, _>>()?;
    Ok((rounds, bench.onnxruntime().to_owned()))
}

impl<'a> Bench<'a> {
    /// Writes the models and builds the requests.
    ///
    /// # Errors
    /// A program or the library of ONNX Runtime is missing.
    pub(crate) fn prepare(plan: &'a Plan) -> anyhow::Result<Self> {
        load::check_programs()?;
        for (program, package) in [(&plan.server, "decima-server"), (&plan.loadtest, "decima-loadtest")] {
            ensure!(
                program.is_file(),
                "{} is missing: cargo build --release --package {package}",
                program.display()
            );
        }
        let calls = plan.cases.iter().map(Call::of).collect::<Result<_, _>>()?;
        let runtime = runtime().map_err(anyhow::Error::msg)?;
        let bench = Self { plan, folder: TempDir::new()?, runtime, calls };
        for model in Model::ALL {
            let path = bench.model_path(model);
            fs::create_dir_all(path.parent().context("the path has folders")?)?;
            fs::write(path, models::encode(model))?;
        }
        Ok(bench)
    }

    /// The version of ONNX Runtime, from its library.
    pub(crate) fn onnxruntime(&self) -> &str {
        self.runtime.version()
    }

    /// Each load with its request.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (&Case, &Call)> {
        self.plan.cases.iter().zip(&self.calls)
    }

    /// Path of the model's file.
    pub(crate) fn model_path(&self, model: Model) -> PathBuf {
        self.repository().join(model.name()).join("1/model.onnx")
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// Loads the model into a session of raw ONNX Runtime.
    ///
    /// # Errors
    /// ONNX Runtime cannot load the model.
    pub(crate) fn raw(&self, model: Model) -> anyhow::Result<Raw> {
        Raw::load(&self.runtime, &self.model_path(model))
    }

    /// Starts `decima-server` with the models.
    ///
    /// # Errors
    /// The server does not become ready.
    pub(crate) fn server(&self) -> anyhow::Result<Server> {
        Server::decima(&self.plan.server, &self.repository(), self.plan.threads)
    }

    /// Sends requests for one second, without measuring.
    ///
    /// # Errors
    /// A response is not a success.
    pub(crate) fn warm_up(&self, case: &Case, call: &Call, server: &Server) -> anyhow::Result<()> {
        load::run(case, call, &server.address, 1, self.folder.path()).map(drop)
    }

    /// Runs a load against a server. Returns the server's CPU time per request in microseconds.
    ///
    /// # Errors
    /// A response is not a success.
    pub(crate) fn load(&self, case: &Case, call: &Call, server: &Server) -> anyhow::Result<(f64, Load)> {
        let before = server.cpu_time()?;
        let load = load::run(case, call, &server.address, self.plan.seconds, self.folder.path())?;
        let used = server.cpu_time()?.saturating_sub(before);
        Ok((used.as_secs_f64() * 1e6 / load.requests as f64, load))
    }

    fn round(&self, number: usize) -> anyhow::Result<Round> {
        let core_round_trip = distance::round_trip();
        let (mut small, mut mlp) = (self.raw(Model::Small)?, self.raw(Model::Mlp)?);
        let others = (1..self.plan.threads).map(|_| self.raw(Model::Small)).collect::<Result<_, _>>()?;
        let crowding = raw::crowding(&mut small, others, &pictures(BATCH), self.raw_wall())?;
        let echo = Server::echo(self.plan.threads, 0)?;
        let server = self.server()?;
        for warmed in [&echo, &server] {
            self.warm_up(&self.plan.cases[0], &self.calls[0], warmed)?;
        }
        let mut samples = Vec::with_capacity(self.calls.len());
        for (case, call) in self.loads() {
            let raw = match case.model {
                Model::Small => &mut small,
                Model::Mlp => &mut mlp,
            };
            let sample = self.sample(case, call, raw, [&echo, &server]);
            let sample = sample.with_context(|| case.name())?;
            say(&format!(
                "round {number} of {}, {}: {:.1} us, limit {:.1} + {:.1} us",
                self.plan.rounds,
                case.name(),
                sample.server,
                sample.raw,
                sample.floor
            ));
            samples.push(sample);
        }
        Ok(Round {
            samples,
            core_round_trip,
            crowding,
            ready_after: server.ready_after,
            resident_mib: server.resident_mib()?,
        })
    }

    fn sample(
        &self,
        case: &Case,
        call: &Call,
        raw: &mut Raw,
        [echo, server]: [&Server; 2],
    ) -> anyhow::Result<Sample> {
        verify::check(server, case, call, raw)?;
        let rows = case.raw_rows();
        let raw = raw.micros(pictures(rows), self.raw_wall())? / rows as f64 * case.pictures as f64;
        let (floor, _) = self.load(case, call, echo).context("the echo server")?;
        let computing_floor = (case.connections == 1).then(|| {
            let echo = Server::echo(self.plan.threads, raw.round() as u64)?;
            self.load(case, call, &echo).map(|(micros, _)| micros)
        });
        let before = Metrics::read(server)?;
        let (micros, load) = self.load(case, call, server)?;
        let after = Metrics::read(server)?;
        let open_loop = open_loop::is_measured(case).then(|| {
            open_loop::run(&self.plan.loadtest, case, server, load.requests_per_second, self.plan.seconds)
        });
        after.ensure_all_answered()?;
        let batch_rows = after.mean_batch(&before, case.model.name());
        Ok(Sample {
            raw,
            floor,
            server: micros,
            computing_floor: computing_floor.transpose()?,
            load,
            open_loop: open_loop.transpose()?,
            batch_rows,
        })
    }

    /// How long raw ONNX Runtime runs for one figure.
    fn raw_wall(&self) -> Duration {
        Duration::from_secs(self.plan.seconds.into()) / 4
    }
}
