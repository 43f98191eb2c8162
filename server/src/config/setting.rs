//! The table of settings: every name, default and meaning, once. The command line, the environment, the
//! configuration file, `--help`, `--print-config` and `docs/CONFIGURATION.md` are all read from it. The settings of
//! access and TLS are in `access`, and `table` joins both.

use super::{fallback::Fallback, group::Group};

/// A setting: its names, its default and its meaning.
#[derive(Debug)]
pub struct Setting {
    /// Key in the configuration file. It is also a second spelling of the flag, which `KServe` uses.
    pub key: &'static str,
    /// Flag on the command line, without the leading hyphens.
    pub flag: &'static str,
    /// Environment variables. The first one that is set counts.
    pub environment: &'static [&'static str],
    /// What the value is called in `--help`.
    pub value: &'static str,
    /// The default.
    pub fallback: Fallback,
    /// Heading under which it is listed.
    pub group: Group,
    /// One or two sentences for the user.
    pub help: &'static str,
}

/// Declares settings as constants and gathers them in `ALL`.
macro_rules! settings {
    ($($name:ident = $setting:expr;)+) => {
        $(pub(in crate::config) const $name: &Setting = &$setting;)+
        /// The settings of this file, in the order in which they are shown.
        pub(in crate::config) const ALL: &[&Setting] = &[$($name),+];
    };
}
pub(super) use settings;

settings! {
    MODEL_REPOSITORY = Setting {
        key: "model_repository",
        flag: "model-repository",
        environment: &["DECIMA_MODEL_REPOSITORY", "STORAGE_URI"],
        value: "URI",
        fallback: Fallback::Computed("`/mnt/models` where it exists, else `models`"),
        group: Group::Models,
        help: "Folder or s3://bucket/prefix that holds models, as a repository or as one model in a layout of \
               KServe. May be given several times; in the environment, separate with commas.",
    };
    MODEL_DIR = Setting {
        key: "model_dir",
        flag: "model-dir",
        environment: &["DECIMA_MODEL_DIR"],
        value: "URI",
        fallback: Fallback::Unset,
        group: Group::Models,
        help: "Serve only the one model that lies at this place, under the name of --model-name.",
    };
    MODEL_NAME = Setting {
        key: "model_name",
        flag: "model-name",
        environment: &["DECIMA_MODEL_NAME", "INFERENCE_SERVICE_NAME"],
        value: "NAME",
        fallback: Fallback::Unset,
        group: Group::Models,
        help: "Name of the model at --model-dir, or of the only model that the repository holds, whatever its \
               folder is called.",
    };
    MODEL_CACHE_DIR = Setting {
        key: "model_cache_dir",
        flag: "model-cache-dir",
        environment: &["DECIMA_MODEL_CACHE_DIR"],
        value: "DIR",
        fallback: Fallback::Computed("`decima-models` in `$TMPDIR`, by default `/tmp`"),
        group: Group::Models,
        help: "Writable folder for models downloaded from s3://.",
    };
    STARTUP_TIMEOUT = Setting {
        key: "startup_timeout",
        flag: "startup-timeout",
        environment: &["DECIMA_STARTUP_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("5m"),
        group: Group::Models,
        help: "How long start-up waits for a model store that does not answer, or for a folder that is still \
               being filled (MODEL_INIT_MODE=async). 0: do not wait.",
    };
    POLL_INTERVAL = Setting {
        key: "poll_interval",
        flag: "poll-interval",
        environment: &["DECIMA_POLL_INTERVAL"],
        value: "DURATION",
        fallback: Fallback::Value("0"),
        group: Group::Models,
        help: "How often the repository is looked through for new, changed and removed versions. 0: never.",
    };
    MODEL_CONTROL = Setting {
        key: "model_control",
        flag: "model-control",
        environment: &["DECIMA_MODEL_CONTROL"],
        value: "WHO",
        fallback: Fallback::Value("explicit"),
        group: Group::Models,
        help: "Whether clients may load and unload models (/v2/repository/models/...): explicit (they may) or \
               none (they are answered 503).",
    };
    EXIT_ON_ERROR = Setting {
        key: "exit_on_error",
        flag: "exit-on-error",
        environment: &["DECIMA_EXIT_ON_ERROR"],
        value: "BOOLEAN",
        fallback: Fallback::Value("true"),
        group: Group::Models,
        help: "Whether a model or a place for models that cannot be loaded at start-up ends the server (true), \
               or is left out and all others are served (false).",
    };
    STRICT_READINESS = Setting {
        key: "strict_readiness",
        flag: "strict-readiness",
        environment: &["DECIMA_STRICT_READINESS"],
        value: "BOOLEAN",
        fallback: Fallback::Value("true"),
        group: Group::Models,
        help: "Whether the server is ready only when every model of the start is (true), or as soon as it has \
               tried to load them (false).",
    };
    DOWNLOAD_TIMEOUT = Setting {
        key: "download_timeout",
        flag: "download-timeout",
        environment: &["DECIMA_DOWNLOAD_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("10m"),
        group: Group::Models,
        help: "How long the download of one version of a model may take, with all its retries, and so a \
               listing of a bucket.",
    };
    HOST = Setting {
        key: "host",
        flag: "host",
        environment: &["DECIMA_HOST"],
        value: "ADDRESS",
        fallback: Fallback::Value("0.0.0.0"),
        group: Group::Network,
        help: "IP address to listen on.",
    };
    HTTP_PORT = Setting {
        key: "http_port",
        flag: "http-port",
        environment: &["DECIMA_HTTP_PORT"],
        value: "PORT",
        fallback: Fallback::Computed("`8443` with TLS, else `8080`"),
        group: Group::Network,
        help: "Port for HTTP/1.1, HTTP/2 and gRPC. 0: any free port.",
    };
    GRPC_PORT = Setting {
        key: "grpc_port",
        flag: "grpc-port",
        environment: &["DECIMA_GRPC_PORT"],
        value: "PORT",
        fallback: Fallback::Value("8081"),
        group: Group::Network,
        help: "Port for gRPC alone. 0: none; the HTTP port takes gRPC calls too.",
    };
    LISTEN = Setting {
        key: "listen",
        flag: "listen",
        environment: &["DECIMA_LISTEN"],
        value: "WHEN",
        fallback: Fallback::Computed("`ready` where `INFERENCE_SERVICE_NAME` is set, else `early`"),
        group: Group::Network,
        help: "When to accept connections: early (at once) or ready (when every model is ready). KServe's \
               default probe is a TCP connect, for which an open port is a promise.",
    };
    MAX_CONNECTIONS = Setting {
        key: "max_connections",
        flag: "max-connections",
        environment: &["DECIMA_MAX_CONNECTIONS"],
        value: "COUNT",
        fallback: Fallback::Value("4096"),
        group: Group::Network,
        help: "Connections open at once; more wait to be accepted.",
    };
    MAX_BODY_SIZE = Setting {
        key: "max_body_size",
        flag: "max-body-size",
        environment: &["DECIMA_MAX_BODY_SIZE"],
        value: "SIZE",
        fallback: Fallback::Value("64MiB"),
        group: Group::Network,
        help: "Largest body of a request, after decompression.",
    };
    BODY_READ_TIMEOUT = Setting {
        key: "body_read_timeout",
        flag: "body-read-timeout",
        environment: &["DECIMA_BODY_READ_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("30s"),
        group: Group::Network,
        help: "How long the body of a request may take to arrive.",
    };
    KEEP_ALIVE_TIMEOUT = Setting {
        key: "keep_alive_timeout",
        flag: "keep-alive-timeout",
        environment: &["DECIMA_KEEP_ALIVE_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("75s"),
        group: Group::Network,
        help: "How long a connection may wait for its next request. Keep it above the proxy's own, so that \
               the proxy never sends into a connection that is being closed.",
    };
    HTTP2_MAX_STREAMS = Setting {
        key: "http2_max_streams",
        flag: "http2-max-streams",
        environment: &["DECIMA_HTTP2_MAX_STREAMS"],
        value: "COUNT",
        fallback: Fallback::Value("256"),
        group: Group::Network,
        help: "Requests at once on one HTTP/2 connection.",
    };
    CORS_ORIGINS = Setting {
        key: "cors_origins",
        flag: "cors-origins",
        environment: &["DECIMA_CORS_ORIGINS"],
        value: "ORIGINS",
        fallback: Fallback::Unset,
        group: Group::Network,
        help: "Origins whose pages may ask this server from a browser (CORS), such as https://app.example.org, \
               separated by commas; or * for all.",
    };
    UI = Setting {
        key: "ui",
        flag: "ui",
        environment: &["DECIMA_UI"],
        value: "SWITCH",
        fallback: Fallback::Value("on"),
        group: Group::Network,
        help: "Whether browsers get a page at / to draw digits on and to send pictures from: on or off.",
    };
    DRAIN_TIMEOUT = Setting {
        key: "drain_timeout",
        flag: "drain-timeout",
        environment: &["DECIMA_DRAIN_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("25s"),
        group: Group::Network,
        help: "How long after SIGTERM requests in flight may take to finish. Keep it below the pod's grace \
               period.",
    };
    DRAIN_DELAY = Setting {
        key: "drain_delay",
        flag: "drain-delay",
        environment: &["DECIMA_DRAIN_DELAY"],
        value: "DURATION",
        fallback: Fallback::Computed("a fifth of the drain timeout in a Kubernetes pod, else 0"),
        group: Group::Network,
        help: "How long after SIGTERM new connections are still accepted, while readiness already says no: \
               the time that load balancers need to look elsewhere. Part of the drain timeout.",
    };
    DEVICE = Setting {
        key: "device",
        flag: "device",
        environment: &["DECIMA_DEVICE"],
        value: "DEVICE",
        fallback: Fallback::Value("cpu"),
        group: Group::Execution,
        help: "Where models run: cpu, cuda, cuda:N, or auto (CUDA where it can be had, else the CPU).",
    };
    THREADS = Setting {
        key: "threads",
        flag: "threads",
        environment: &["DECIMA_THREADS"],
        value: "COUNT",
        fallback: Fallback::Computed("the CPU budget: the smallest of affinity, cgroup quota and cores"),
        group: Group::Execution,
        help: "Threads for the work of the server and its models together.",
    };
    BATCHING = Setting {
        key: "batching",
        flag: "batching",
        environment: &["DECIMA_BATCHING"],
        value: "MODE",
        fallback: Fallback::Value("adaptive"),
        group: Group::Execution,
        help: "How batches are formed: adaptive (sessions, threads and waits follow from what is measured) or static \
               (by fixed rules, to rule the adaptive policies out in a bug report or a benchmark).",
    };
    MAX_QUEUE_ROWS = Setting {
        key: "max_queue_rows",
        flag: "max-queue-rows",
        environment: &["DECIMA_MAX_QUEUE_ROWS"],
        value: "COUNT",
        fallback: Fallback::Value("1024"),
        group: Group::Execution,
        help: "Rows that may wait for one model; a request that finds no room is answered 429 at once. A single \
               request with more rows waits where nobody else does.",
    };
    MAX_PICTURE_PIXELS = Setting {
        key: "max_picture_pixels",
        flag: "max-picture-pixels",
        environment: &["DECIMA_MAX_PICTURE_PIXELS"],
        value: "COUNT",
        fallback: Fallback::Value("16777216"),
        group: Group::Execution,
        help: "Width times height that an encoded picture may have; one with more is answered 413. Decoding takes up \
               to 16 bytes a pixel, for as many requests at once as there are threads.",
    };
    REQUEST_TIMEOUT = Setting {
        key: "request_timeout",
        flag: "request-timeout",
        environment: &["DECIMA_REQUEST_TIMEOUT"],
        value: "DURATION",
        fallback: Fallback::Value("30s"),
        group: Group::Execution,
        help: "How long a request may wait and run before it is answered 504.",
    };
    FEEDBACK = Setting {
        key: "feedback",
        flag: "feedback",
        environment: &["DECIMA_FEEDBACK"],
        value: "URI",
        fallback: Fallback::Unset,
        group: Group::Feedback,
        help: "Folder or s3://bucket/prefix where corrections are stored: pictures with the right answer, as the page \
               and POST /feedback take them. Without it none are taken.",
    };
    FEEDBACK_RATE = Setting {
        key: "feedback_rate",
        flag: "feedback-rate",
        environment: &["DECIMA_FEEDBACK_RATE"],
        value: "COUNT",
        fallback: Fallback::Value("60"),
        group: Group::Feedback,
        help: "Corrections that are taken in any minute, from all clients together, at most 10000; more are answered 429.",
    };
    FEEDBACK_SIZE = Setting {
        key: "feedback_size",
        flag: "feedback-size",
        environment: &["DECIMA_FEEDBACK_SIZE"],
        value: "SIZE",
        fallback: Fallback::Value("256MiB"),
        group: Group::Feedback,
        help: "Pictures of corrections that are stored between the server's start and its end, in bytes; more are \
               answered 429.",
    };
    LOG_FORMAT = Setting {
        key: "log_format",
        flag: "log-format",
        environment: &["DECIMA_LOG_FORMAT"],
        value: "FORMAT",
        fallback: Fallback::Computed("`text` on a terminal, else `json`"),
        group: Group::Logging,
        help: "How a line of the log looks: text or json. The log goes to standard error.",
    };
    LOG_LEVEL = Setting {
        key: "log_level",
        flag: "log-level",
        environment: &["RUST_LOG"],
        value: "LEVEL",
        fallback: Fallback::Value("info"),
        group: Group::Logging,
        help: "off, error, warn, info, debug or trace; by module with target=level, separated by commas.",
    };
    METRICS_COMPAT = Setting {
        key: "metrics_compat",
        flag: "metrics-compat",
        environment: &["DECIMA_METRICS_COMPAT"],
        value: "NAMES",
        fallback: Fallback::Unset,
        group: Group::Logging,
        help: "Whose metrics /metrics has beside its own: triton (nv_inference_...), kserve \
               (request_predict_seconds, ...), or both, separated by a comma.",
    };
    CONFIG = Setting {
        key: "config",
        flag: "config",
        environment: &["DECIMA_CONFIG"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Configuration,
        help: "TOML file with settings under their keys; a key that is not known is an error.",
    };
}

/// A setting that says where the file is cannot itself stand in the file.
pub(super) fn belongs_in_file(setting: &Setting) -> bool {
    setting.group != Group::Configuration
}
