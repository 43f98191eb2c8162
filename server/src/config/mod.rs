//! The settings of the server, checked: [`Config`] and its parts, one for each concern.
//!
//! Only [`Config::load`] and [`Config::resolve`] make a [`Config`]. There a flag outranks an environment variable, that
//! outranks a key of the file, and that outranks a default. All errors are reported at once. A value that cannot be read is
//! an error, and no default takes its place.
//!
//! Nothing here reads the environment of the process. It is passed in as an [`Environment`], so tests can pass their own.

mod access;
mod batching_mode;
mod error;
mod fallback;
mod file;
mod group;
mod host;
mod places;
mod reference;
mod resolver;
mod setting;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use storage::{Location, Settings};

use crate::platform::environment::Environment;

pub use self::{
    access::{Access, AdminCallers, SPELLINGS_OF_KSERVE, TlsFiles},
    batching_mode::BatchingMode,
    error::ConfigError,
    fallback::Fallback,
    file::File,
    group::Group,
    host::Host,
    places::Place,
    reference::reference,
    resolver::Settled,
    setting::Setting,
    table::ALL,
};
use self::{
    resolver::{Resolver, Sources},
    setting as s,
};

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is served, and from where.
    pub models: Models,
    /// Where and how connections are taken.
    pub http: Http,
    /// Who may ask for what.
    pub access: Access,
    /// How models run.
    pub execution: Execution,
    /// Where corrections are stored, if anywhere.
    pub feedback: Feedback,
    /// How the server stops.
    pub drain: Drain,
    /// What is written about it.
    pub log: Log,
    /// Under whose names metrics are given too.
    pub metrics_compat: MetricsCompat,
}

/// What is served, and from where.
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    /// The places that hold models, at least one.
    pub places: Vec<Place>,
    /// How to reach buckets. It is read from the environment only if models or corrections are in one.
    pub store: Settings,
    /// Writable folder for downloaded models. It is created when it is needed.
    pub cache_dir: PathBuf,
    /// How long start-up waits for a store that does not answer. Zero: it does not wait.
    pub startup_timeout: Duration,
    /// How often the places are looked through for changes; `None`: never.
    pub poll_interval: Option<Duration>,
    /// Whether clients may load and unload models.
    pub control: ModelControl,
    /// Whether what cannot be loaded at start-up ends the server.
    pub exit_on_error: bool,
    /// Whether the server is ready only when every model of the start is.
    pub strict_readiness: bool,
    /// Whether start-up waits for a folder that is missing or empty as for a store that does not answer, since
    /// somebody is still filling it (`MODEL_INIT_MODE=async`).
    pub await_folder: bool,
}

/// Where and how connections are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Address and port; port 0 is any free one.
    pub address: SocketAddr,
    /// Where gRPC alone is served; `None`: only beside HTTP.
    pub grpc_address: Option<SocketAddr>,
    /// When the socket opens.
    pub listen: Listen,
    /// Connections open at once.
    pub max_connections: NonZeroUsize,
    /// Largest body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive_timeout: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub http2_max_streams: u32,
    /// Whose pages may ask from a browser; `None`: nobody's but the server's own.
    pub cors_origins: Option<CorsOrigins>,
    /// Whether browsers get the page to draw on.
    pub ui: bool,
}

/// Whose pages may ask from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Everybody's.
    Any,
    /// Those of these origins, as browsers write them.
    Listed(Vec<String>),
}

/// How models run.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Where they run.
    pub device: Device,
    /// Threads for all the work of the process together.
    pub threads: NonZeroUsize,
    /// Whether the batcher adapts to the load.
    pub batching: BatchingMode,
    /// Rows that may wait for one model.
    pub max_queue_rows: NonZeroUsize,
    /// Width times height that a picture may have.
    pub max_picture_pixels: NonZeroUsize,
    /// How long a request may wait and run.
    pub request_timeout: Duration,
}

/// Where corrections are stored, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Where; `None`: none are taken.
    pub place: Option<Location>,
    /// Most that are taken in any minute.
    pub per_minute: NonZeroUsize,
    /// Most bytes of pictures that are stored from start to end.
    pub max_bytes: usize,
}

/// How the server stops.
#[derive(Debug, Clone, PartialEq)]
pub struct Drain {
    /// From the signal to the end, the delay included.
    pub timeout: Duration,
    /// From the signal to the closing of the socket, while readiness already says no; shorter than the timeout.
    pub delay: Duration,
}

/// What is written to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or targets with their levels, as `tracing-subscriber`'s `EnvFilter` reads them; valid.
    pub filter: String,
}

/// Where models run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// On the CPU.
    Cpu,
    /// On the CUDA device of this index, or not at all.
    Cuda(u32),
    /// On CUDA device 0 where it can be had, else on the CPU.
    Auto,
}

/// Whether clients may load and unload models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelControl {
    /// They may not.
    None,
    /// They may.
    Explicit,
}

/// When the socket opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At once: live while models load.
    Early,
    /// When every model is ready: an open port is a promise.
    Ready,
}

/// Other servers under whose names metrics are given too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetricsCompat {
    /// Triton's counters, `nv_inference_...`.
    pub triton: bool,
    /// The histograms of `KServe`'s own servers, `request_predict_seconds` and others.
    pub kserve: bool,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The flags of the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The values of each setting by its key, in the order given.
    pub values: BTreeMap<&'static str, Vec<String>>,
    /// Flags of `KServe`'s own servers that have no effect here.
    pub foreign: Vec<&'static str>,
}

/// A configuration, with warnings and with the origin of each value.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// One line each, to be logged once logging is set up.
    pub warnings: Vec<String>,
    /// Every setting with its text and where that came from, for `--print-config`.
    pub settled: Vec<Settled>,
}

impl Resolved {
    /// Returns where the value of a setting came from, by its key. Empty: it is not set.
    pub fn origin(&self, key: &str) -> &str {
        let settled = self.settled.iter().find(|settled| settled.setting.key == key);
        settled.map_or("", |settled| &settled.origin)
    }
}

impl Config {
    /// Reads the file that `--config` or `DECIMA_CONFIG` names, if any, and resolves the rest.
    ///
    /// # Errors
    /// Every problem of the file, or else every problem of all sources together.
    pub fn load(flags: &Flags, environment: &Environment, host: &Host) -> Result<Resolved, ConfigError> {
        let named = flags.values.get(s::CONFIG.key).and_then(|values| values.last().cloned());
        let path = named
            .or_else(|| environment.get("DECIMA_CONFIG").filter(|path| !path.is_empty()).map(str::to_owned));
        let file = path.map(|path| File::read(Path::new(&path))).transpose()?;
        Self::resolve(flags, environment, file.as_ref(), host)
    }

    /// Resolves every setting from flags, environment, file and defaults.
    ///
    /// # Errors
    /// All problems at once, each with the name under which the user gave the value.
    pub fn resolve(
        flags: &Flags,
        environment: &Environment,
        file: Option<&File>,
        host: &Host,
    ) -> Result<Resolved, ConfigError> {
        let mut resolver = Resolver::new(Sources { flags, environment, file });
        let feedback = feedback(&mut resolver);
        let access = access::resolve(&mut resolver);
        let config = Self {
            models: models(&mut resolver, host, &feedback),
            http: http(&mut resolver, access.tls.is_some()),
            access,
            execution: execution(&mut resolver, host),
            feedback,
            drain: drain(&mut resolver),
            log: log(&mut resolver, host),
            metrics_compat: resolver.find(s::METRICS_COMPAT, str::parse).unwrap_or_default(),
        };
        resolver.finish(config)
    }
}

fn models(resolver: &mut Resolver<'_>, host: &Host, feedback: &Feedback) -> Models {
    let temporary = resolver.environment("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let cache_dir = (format!("{}/decima-models", temporary.trim_end_matches('/')), None);
    let poll_interval = resolver.value(s::POLL_INTERVAL, value::duration);
    let places = places::resolve(resolver, host);
    let mut locations = places.iter().map(Place::location).chain(&feedback.place);
    let has_bucket = locations.any(|location| matches!(location, Location::Bucket(_)));
    Models {
        store: store(resolver, has_bucket),
        places,
        cache_dir: resolver.value_or(s::MODEL_CACHE_DIR, cache_dir, |text| Ok(PathBuf::from(text))),
        startup_timeout: resolver.value(s::STARTUP_TIMEOUT, value::duration),
        control: resolver.value(s::MODEL_CONTROL, str::parse),
        exit_on_error: resolver.value(s::EXIT_ON_ERROR, value::boolean),
        strict_readiness: resolver.value(s::STRICT_READINESS, value::boolean),
        poll_interval: Some(poll_interval).filter(|interval| !interval.is_zero()),
        await_folder: resolver.environment("MODEL_INIT_MODE").as_deref() == Some("async"),
    }
}

/// Reads how to reach the object store. A server that uses folders only ignores keys in the environment, wrong ones too.
fn store(resolver: &mut Resolver<'_>, needed: bool) -> Settings {
    let given = Settings::from_env(&|name| resolver.environment(name).filter(|_| needed));
    let settings = given.unwrap_or_else(|error| {
        resolver.problem(error.to_string());
        Settings::from_env(&|_| None).expect("nothing can be wrong with no variables")
    });
    Settings { deadline: resolver.value(s::DOWNLOAD_TIMEOUT, value::positive_duration), ..settings }
}

fn http(resolver: &mut Resolver<'_>, has_tls: bool) -> Http {
    let listen = match resolver.environment("INFERENCE_SERVICE_NAME") {
        Some(_) => ("ready".into(), Some("INFERENCE_SERVICE_NAME is set".into())),
        None => ("early".into(), None),
    };
    let host = resolver.value(s::HOST, value::host);
    // As KServe's own servers choose it.
    let port = if has_tls { ("8443".into(), Some("with TLS".into())) } else { ("8080".into(), None) };
    let port = resolver.value_or(s::HTTP_PORT, port, value::port);
    // Where both are the same there is nothing to add: the HTTP port takes gRPC too.
    let grpc_port = Some(resolver.value(s::GRPC_PORT, value::port)).filter(|&grpc| grpc != 0 && grpc != port);
    Http {
        address: SocketAddr::new(host, port),
        grpc_address: grpc_port.map(|port| SocketAddr::new(host, port)),
        listen: resolver.value_or(s::LISTEN, listen, str::parse),
        max_connections: resolver.value(s::MAX_CONNECTIONS, value::count),
        max_body_bytes: resolver.value(s::MAX_BODY_SIZE, value::size),
        body_read_timeout: resolver.value(s::BODY_READ_TIMEOUT, value::positive_duration),
        keep_alive_timeout: resolver.value(s::KEEP_ALIVE_TIMEOUT, value::positive_duration),
        http2_max_streams: resolver.value(s::HTTP2_MAX_STREAMS, value::stream_count),
        cors_origins: resolver.find_list(s::CORS_ORIGINS, str::parse),
        ui: resolver.value(s::UI, value::on_or_off),
    }
}

fn execution(resolver: &mut Resolver<'_>, host: &Host) -> Execution {
    let threads = (host.cpu_budget.threads.to_string(), Some(host.cpu_budget.reason.clone()));
    Execution {
        device: resolver.value(s::DEVICE, str::parse),
        threads: resolver.value_or(s::THREADS, threads, value::count),
        batching: resolver.value(s::BATCHING, str::parse),
        max_queue_rows: resolver.value(s::MAX_QUEUE_ROWS, value::count),
        max_picture_pixels: resolver.value(s::MAX_PICTURE_PIXELS, value::count),
        request_timeout: resolver.value(s::REQUEST_TIMEOUT, value::positive_duration),
    }
}

fn feedback(resolver: &mut Resolver<'_>) -> Feedback {
    let place = |text: &str| text.parse().map_err(|error: storage::StorageError| error.to_string());
    Feedback {
        place: resolver.find(s::FEEDBACK, place),
        per_minute: resolver.value(s::FEEDBACK_RATE, value::rate),
        max_bytes: resolver.value(s::FEEDBACK_SIZE, value::size),
    }
}

fn drain(resolver: &mut Resolver<'_>) -> Drain {
    let timeout = resolver.value(s::DRAIN_TIMEOUT, value::duration);
    let delay = match resolver.environment("KUBERNETES_SERVICE_HOST") {
        Some(_) => (format!("{}ms", (timeout / 5).as_millis()), Some("in a Kubernetes pod".into())),
        None => ("0".into(), None),
    };
    let delay = resolver.value_or(s::DRAIN_DELAY, delay, value::duration);
    if !delay.is_zero() && delay >= timeout {
        resolver.problem(format!(
            "the drain delay ({delay:?}) leaves nothing of the drain timeout ({timeout:?}): lower --drain-delay \
             or raise --drain-timeout"
        ));
    }
    Drain { timeout, delay }
}

fn log(resolver: &mut Resolver<'_>, host: &Host) -> Log {
    let (format, reason) = if host.terminal { ("text", "on a terminal") } else { ("json", "no terminal") };
    Log {
        format: resolver.value_or(s::LOG_FORMAT, (format.into(), Some(reason.into())), str::parse),
        filter: resolver.value(s::LOG_LEVEL, value::log_filter),
    }
}
