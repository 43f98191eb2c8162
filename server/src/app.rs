//! The life of the server: open the socket, load the models, serve, drain.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pictures::Limits;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, AccessError, Reloader, Tls},
    config::{Config, Listen, ModelControl},
    executor::{Runtime, RuntimeError},
    feedback::{self, Feedback},
    http::{AppState, Listener, Phases, grpc_service, service},
    inference::DataPlane,
    loading::Loader,
    platform::{
        environment::Environment,
        ort_library,
        workers::{self, Workers},
    },
    repository::{self, Registry, Repository, RepositoryError},
    request::preprocess::Decoding,
    telemetry::{Metrics, Traces},
};

/// Longest wait at shutdown for the collector to take the last traces.
const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// Shortest wait for the collector. The last traces get it even after a drain that used up `--drain-timeout`, since
/// they show why it did.
const SHORTEST_FLUSH: Duration = Duration::from_millis(500);

/// Why the server ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no ONNX Runtime library.
    #[error(transparent)]
    NoLibrary(#[from] ort_library::NotFound),
    /// ONNX Runtime's library cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A model could not be loaded at start-up.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A file with tokens, a certificate or a key cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The socket could not be opened.
    #[error("cannot listen on {address}: {reason}; choose another port with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that sets its port.
        flag: &'static str,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// Requests were still in progress when the drain timeout passed.
    #[error("{0} requests were cut off: they were not answered within --drain-timeout")]
    CutOff(i64),
    /// The system refused something that it normally allows, such as a signal handler or a thread.
    #[error("{0}")]
    System(String),
}

/// Serves the models of `config` on `workers` until SIGTERM or SIGINT arrives, and then drains. With `traces`, each
/// request is exported as a span.
///
/// # Errors
/// See [`AppError`].
pub async fn run(
    config: Config,
    environment: &Environment,
    traces: Option<Traces>,
    workers: Workers,
) -> Result<(), AppError> {
    let stop = stop_signal()?;
    // Taken before anything else: without a handler, SIGHUP would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let access = Arc::new(Access::open(&config.access)?);
    let tls = config.access.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
    tokio::spawn(Reloader::new(Arc::clone(&access), tls.clone()).run(hangup));
    let library = ort_library::find(environment)?;
    let metrics =
        Metrics::with_names_of(config.metrics_compat).map_err(|error| AppError::System(error.to_string()))?;
    let registry = Arc::new(Registry::default());
    let (control, commands) = repository::control();
    let control = Some(control).filter(|_| config.models.control == ModelControl::Explicit);
    let data_plane = DataPlane::new(Arc::clone(&registry), metrics.clone(), config.execution.request_timeout)
        .with_control(control)
        .with_feedback(start_feedback(&config)?);
    let data_plane = Arc::new(data_plane);
    let server =
        Server { config: &config, data_plane: Arc::clone(&data_plane), access, tls, traces, workers };

    // Loading the library takes a third of the start, so the socket is opened at the same time.
    let device = config.execution.device;
    let runtime = tokio::task::spawn_blocking(move || Runtime::load(&library, device));
    let early = async {
        match config.http.listen {
            Listen::Early => server.listen().await.map(Some),
            Listen::Ready => Ok(None),
        }
    };
    let (serving, runtime) = tokio::join!(early, runtime);
    let serving = serving?;
    let runtime = runtime.map_err(|error| AppError::System(format!("loading ONNX Runtime: {error}")))??;
    metrics.set_build_info(runtime.version());
    let (threads, max_queue_rows) = (config.execution.threads.get(), config.execution.max_queue_rows.get());
    let max_pixels = config.execution.max_picture_pixels.get() as u64;
    let loader = Loader {
        runtime,
        threads,
        batching: config.execution.batching,
        max_queue_rows,
        decoding: Decoding::new(threads, max_pixels, config.http.max_body_bytes, max_queue_rows),
        metrics: metrics.clone(),
    };
    let mut repository = Repository::open(&config.models, loader, registry)?;
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()), // no request is in flight yet, so there is nothing to drain
        loaded = repository.load_all() => loaded?,
    }
    let serving = match serving {
        Some(serving) => serving,
        None => server.listen().await?,
    };
    let scheme = if config.access.tls.is_some() { "https" } else { "http" };
    serving.announce(scheme, &repository, data_plane.is_ready());
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = repository.follow(commands) => {}
    }
    server.drain(serving, &metrics).await
}

/// Starts the task that stores corrections, if `--feedback` names a place for them.
fn start_feedback(config: &Config) -> Result<Option<Feedback>, AppError> {
    let limits = Limits { max_pixels: config.execution.max_picture_pixels.get() as u64 };
    let opened = feedback::open(&config.feedback, &config.models.store, limits);
    let opened = opened.map_err(|error| AppError::System(format!("--feedback: {error}")))?;
    Ok(opened.map(|(feedback, writer)| {
        tracing::info!(place = %writer.place(), "storing corrections");
        tokio::spawn(writer.run());
        feedback
    }))
}

struct Server<'a> {
    config: &'a Config,
    data_plane: Arc<DataPlane>,
    access: Arc<Access>,
    tls: Option<Arc<Tls>>,
    traces: Option<Traces>,
    workers: Workers,
}

/// The sockets that are being served.
struct Serving {
    address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    phases: Phases,
    tasks: JoinSet<()>,
}

impl Server<'_> {
    async fn listen(&self) -> Result<Serving, AppError> {
        let http = &self.config.http;
        let state = AppState {
            data_plane: Arc::clone(&self.data_plane),
            max_body_bytes: http.max_body_bytes,
            body_read_timeout: http.body_read_timeout,
            traces: self.traces.clone(),
            access: Arc::clone(&self.access),
            ui: http.ui,
        };
        let phases = Phases::default();
        let mut tasks = JoinSet::new();
        let (listener, address) = self.bind(http.address, "--http-port").await?;
        let mut grpc_address = None;
        if let Some(grpc) = http.grpc_address {
            let (listener, address) = self.bind(grpc, "--grpc-port").await?;
            tasks.spawn(grpc_service(state.clone()).serve(listener, phases.clone(), self.workers.clone()));
            grpc_address = Some(address);
        }
        let service = service(state, http.cors_origins.as_ref());
        tasks.spawn(service.serve(listener, phases.clone(), self.workers.clone()));
        tracing::info!(%address, "listening");
        if let Some(address) = grpc_address {
            tracing::info!(%address, "listening for gRPC only");
        }
        Ok(Serving { address, grpc_address, phases, tasks })
    }

    async fn bind(&self, wanted: SocketAddr, flag: &'static str) -> Result<(Listener, SocketAddr), AppError> {
        let http = &self.config.http;
        let refused = |reason| AppError::Listen { address: wanted, flag, reason };
        let listener =
            Listener::bind(wanted, http.max_connections, http.keep_alive_timeout, http.http2_max_streams)
                .await
                .map_err(refused)?;
        let address = listener.address().map_err(refused)?;
        Ok((listener.with_tls(self.tls.clone()), address))
    }

    /// Reports that the server is not ready, and goes on serving for `--drain-delay` until load balancers have noticed.
    /// Then closes the sockets and lets the requests in flight finish.
    async fn drain(&self, serving: Serving, metrics: &Metrics) -> Result<(), AppError> {
        let drain = &self.config.drain;
        let deadline = Instant::now() + drain.timeout;
        self.data_plane.start_draining();
        serving.phases.draining.store(true, Ordering::Relaxed);
        tracing::info!(delay = ?drain.delay, timeout = ?drain.timeout, "draining");
        tokio::time::sleep(drain.delay).await;
        serving.phases.closing.cancel();
        let drained = timeout_at(deadline, serving.tasks.join_all()).await.is_ok();
        if let Some(traces) = self.traces.clone() {
            let left = deadline.saturating_duration_since(Instant::now());
            workers::run_blocking(move || traces.shutdown(left.clamp(SHORTEST_FLUSH, LONGEST_FLUSH))).await;
        }
        if drained {
            tracing::info!("drained");
            return Ok(());
        }
        match metrics.in_flight.get() {
            0 => Ok(()), // only idle connections are left, which their clients keep open
            cut_off => Err(AppError::CutOff(cut_off)),
        }
    }
}

impl Serving {
    /// Logs the address of the server, and an example request for each model that has one.
    fn announce(&self, scheme: &str, repository: &Repository, is_ready: bool) {
        let url = format!("{scheme}://{}", reachable(self.address));
        let grpc = self.grpc_address.map(reachable);
        if is_ready {
            tracing::info!(url, grpc, "ready");
        } else {
            tracing::warn!(url, grpc, "serving, but not ready: not every model could be loaded");
        }
        for (model, example) in repository.examples() {
            tracing::info!("try: curl -s {url}/v2/models/{model}/infer -d @{}", example.display());
        }
    }
}

/// Returns an address that a client on this machine can use: the loopback address where the server listens on all
/// addresses.
fn reachable(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("127.0.0.1:{}", address.port()),
        _ => address.to_string(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives it")]
fn no_signals(error: std::io::Error) -> AppError {
    AppError::System(format!("cannot listen for signals: {error}"))
}

fn stop_signal() -> Result<CancellationToken, AppError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        on_signal.cancel();
    });
    Ok(stop)
}
