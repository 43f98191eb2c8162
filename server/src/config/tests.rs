//! Sources against sources, as tables: every test gives flags, an environment and a file, and looks at what
//! comes out.

use std::{path::Path, time::Duration};

use super::{setting::belongs_in_file, *};
use crate::{
    cli::Args,
    platform::{cpu_budget::CpuBudget, environment::Environment},
};

/// A machine with two processors, no terminal and nothing mounted.
fn host() -> Host {
    let cpu_budget = CpuBudget { threads: 2, reason: "cgroup quota 1.5 of 16 cores".into() };
    Host { models_mounted: false, terminal: false, cpu_budget }
}

fn mounted() -> Host {
    Host { models_mounted: true, ..host() }
}

fn resolve_on(
    host: &Host,
    line: &[&str],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Resolved, ConfigError> {
    let args = Args::parse(std::iter::once("decima-server").chain(line.iter().copied())).unwrap();
    let file = File::parse(Path::new("decima.toml"), file)?;
    let environment = variables.iter().copied().collect();
    Config::resolve(&args.flags, &environment, Some(&file), host)
}

fn resolve(line: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Resolved, ConfigError> {
    resolve_on(&host(), line, variables, file)
}

fn config(line: &[&str], variables: &[(&str, &str)], file: &str) -> Config {
    resolve(line, variables, file).unwrap().config
}

fn problems(line: &[&str], variables: &[(&str, &str)], file: &str) -> Vec<String> {
    resolve(line, variables, file).unwrap_err().problems().to_vec()
}

fn repository(uri: &str, name: Option<&str>) -> Place {
    Place::Repository { location: uri.parse().unwrap(), single_model_name: name.map(str::to_owned) }
}

fn model(uri: &str, name: &str) -> Place {
    Place::Model { location: uri.parse().unwrap(), name: name.into() }
}

#[test]
fn nothing_given_serves_the_folder_models() {
    let resolved = resolve(&[], &[], "").unwrap();
    let expected = Config {
        models: Models {
            places: vec![repository("models", None)],
            store: Settings::from_env(&|_| None).unwrap(),
            cache_dir: "/tmp/decima-models".into(),
            startup_timeout: Duration::from_mins(5),
            poll_interval: None,
            control: ModelControl::Explicit,
            exit_on_error: true,
            strict_readiness: true,
            await_folder: false,
        },
        http: Http {
            address: "0.0.0.0:8080".parse().unwrap(),
            grpc_address: Some(SocketAddr::from(([0, 0, 0, 0], 8081))),
            listen: Listen::Early,
            max_connections: 4096.try_into().unwrap(),
            max_body_bytes: 64 << 20,
            body_read_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            http2_max_streams: 256,
            cors_origins: None,
            ui: true,
        },
        access: Access::default(),
        execution: Execution {
            device: Device::Cpu,
            threads: 2.try_into().unwrap(),
            batching: BatchingMode::Adaptive,
            max_queue_rows: 1024.try_into().unwrap(),
            max_picture_pixels: (1 << 24).try_into().unwrap(),
            request_timeout: Duration::from_secs(30),
        },
        feedback: Feedback { place: None, per_minute: 60.try_into().unwrap(), max_bytes: 256 << 20 },
        drain: Drain { timeout: Duration::from_secs(25), delay: Duration::ZERO },
        log: Log { format: LogFormat::Json, filter: "info".into() },
        metrics_compat: MetricsCompat::default(),
    };
    assert_eq!(resolved.config, expected);
    assert!(resolved.warnings.is_empty());
}

#[test]
fn a_flag_outranks_the_environment_and_that_the_file() {
    let flag: &[&str] = &["--http-port=1"];
    let variable: &[(&str, &str)] = &[("DECIMA_HTTP_PORT", "2")];
    let port = |line, variables, file| config(line, variables, file).http.address.port();
    assert_eq!(port(flag, variable, "http_port = 3"), 1);
    assert_eq!(port(&[], variable, "http_port = 3"), 2);
    assert_eq!(port(&[], &[], "http_port = 3"), 3);
    assert_eq!(port(&[], &[("DECIMA_HTTP_PORT", "")], "http_port = 3"), 3);
}

/// A text for a setting that differs from its default.
fn example(setting: &Setting) -> &'static str {
    match setting.value {
        "URI" | "DIR" | "NAME" => "somewhere",
        "ADDRESS" => "127.0.0.1",
        "SIZE" => "1MiB",
        "WHEN" => "ready",
        "WHO" => "none",
        "CALLERS" => "open",
        "MODE" => "static",
        "DEVICE" => "auto",
        "FORMAT" => "text",
        "LEVEL" => "debug",
        "NAMES" => "triton",
        "ORIGINS" => "*",
        "BOOLEAN" => "False",
        "SWITCH" => "off",
        _ => "9",
    }
}

#[test]
fn every_setting_can_be_given_in_every_way_and_changes_something() {
    for setting in ALL.iter().filter(|setting| belongs_in_file(setting)) {
        let text = example(setting);
        let name: &[(&str, &str)] = match setting.key {
            "model_dir" => &[("INFERENCE_SERVICE_NAME", "digits")],
            "tls_key" | "tls_client_ca" => &[("KSERVE_TLS_CERT_FILE", "cert.pem")],
            _ => &[],
        };
        let flag = format!("--{}={text}", setting.flag);
        let line = format!("{} = \"{text}\"", setting.key);
        let variable = [name, &[(setting.environment[0], text)]].concat();
        let default = config(&[], name, "");
        for (resolved, origin) in [
            (resolve(&[&flag], name, ""), format!("--{}", setting.flag)),
            (resolve(&[], &variable, ""), setting.environment[0].to_owned()),
            (resolve(&[], name, &line), format!("{} in decima.toml", setting.key)),
        ] {
            let resolved = resolved.unwrap();
            assert_eq!(resolved.origin(setting.key), origin);
            assert_ne!(resolved.config, default, "{origin} changes nothing");
        }
    }
}

#[test]
fn every_problem_is_reported_at_once_under_the_name_it_was_given_by() {
    let found = problems(
        &["--http-port", "99999", "--threads=0", "--device=tpu", "--batching=off"],
        &[("DECIMA_MAX_BODY_SIZE", "64 apples"), ("RUST_LOG", "loud")],
        "request_timeout = 0\nlisten = \"late\"",
    );
    let expected = [
        "--http-port is \"99999\": expected a port",
        "listen in decima.toml is \"late\": expected early or ready",
        "DECIMA_MAX_BODY_SIZE is \"64 apples\": expected a size",
        "--device is \"tpu\": expected cpu, cuda",
        "--threads is \"0\": expected a whole number, at least 1",
        "--batching is \"off\": expected adaptive or static",
        "request_timeout in decima.toml is \"0\": expected a duration longer than 0",
        "RUST_LOG is \"loud\": expected off, error",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn origins_are_one_list_in_whatever_way_they_are_given() {
    let expected = Some("http://a, http://b".parse().unwrap());
    for (line, variables, file) in [
        (&["--cors-origins", "http://a,http://b"][..], &[][..], ""),
        (&["--cors-origins=http://a", "--cors-origins=http://b"], &[], ""),
        (&[], &[("DECIMA_CORS_ORIGINS", "http://a, http://b")], ""),
        (&[], &[], "cors_origins = [\"http://a\", \"http://b\"]"),
    ] {
        assert_eq!(config(line, variables, file).http.cors_origins, expected);
    }
    let found = problems(&["--cors-origins=http://a,b.org"], &[], "");
    assert!(found[0].contains("'b.org' is no origin"), "{found:?}");
}

#[test]
fn a_file_with_unknown_keys_is_refused() {
    let found =
        problems(&[], &[], "htp_port = 1\nhttp_port = 1979-05-27\nconfig = \"x\"\n[log]\nlevel = \"info\"");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].contains("unknown key config"), "{found:?}");
    assert!(problems(&[], &[], "http_port = ")[0].contains("decima.toml is not TOML"));
}

#[test]
fn the_file_is_named_by_flag_or_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decima.toml");
    std::fs::write(&path, "http_port = 7").unwrap();
    let path = path.to_str().unwrap().to_owned();
    let flags = Args::parse(["decima-server", "--config", &path]).unwrap().flags;
    let by_flag = Config::load(&flags, &Environment::default(), &host()).unwrap();
    let naming = |path: &str| [("DECIMA_CONFIG", path)].into_iter().collect();
    let by_variable = Config::load(&Flags::default(), &naming(&path), &host()).unwrap();
    assert_eq!(by_flag.config.http.address.port(), 7);
    assert_eq!(by_flag.config, by_variable.config);

    let error = Config::load(&Flags::default(), &naming("/nowhere.toml"), &host()).unwrap_err();
    assert!(error.to_string().contains("cannot read the configuration file /nowhere.toml"), "{error}");
}

/// Flags, environment, file, and the places that come of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, Vec<Place>);

#[test]
fn places_come_from_the_highest_source_that_names_one() {
    let service = ("INFERENCE_SERVICE_NAME", "digits");
    let storage = ("STORAGE_URI", "/mnt/models");
    let bucket = "s3://mlpipeline/models";
    let cases: [Case<'_>; 10] = [
        (&["--model-repository", bucket], &[service], "", vec![repository(bucket, Some("digits"))]),
        (&["--model-name=rt", "--model-dir=/mnt/models"], &[service], "", vec![model("/mnt/models", "rt")]),
        (&[], &[service, storage], "", vec![repository("/mnt/models", Some("digits"))]),
        (&["--model_dir=/data"], &[service, storage], "", vec![model("/data", "digits")]),
        (
            &[],
            &[storage, ("DECIMA_MODEL_REPOSITORY", "/a, /b")],
            "",
            vec![repository("/a", None), repository("/b", None)],
        ),
        (&[], &[storage, service, ("DECIMA_MODEL_DIR", "/data")], "", vec![model("/data", "digits")]),
        (
            &["--model-repository=/a,b", "--model-repository=/c"],
            &[],
            "",
            vec![repository("/a,b", None), repository("/c", None)],
        ),
        (
            &[],
            &[],
            "model_repository = [\"/a\", \"/b\"]",
            vec![repository("/a", None), repository("/b", None)],
        ),
        (&[], &[storage], "model_repository = \"/a\"", vec![repository("/mnt/models", None)]),
        (&["--model-name=d"], &[], "model_dir = \"/data\"", vec![model("/data", "d")]),
    ];
    for (line, variables, file, expected) in cases {
        assert_eq!(config(line, variables, file).models.places, expected, "{line:?} {variables:?} {file:?}");
    }
}

#[test]
fn the_folder_that_kserve_mounts_is_a_default() {
    let places = |variables: &[(&str, &str)], file| {
        resolve_on(&mounted(), &[], variables, file).unwrap().config.models.places
    };
    assert_eq!(places(&[], ""), [repository("/mnt/models", None)]);
    assert_eq!(places(&[], "model_repository = \"/a\""), [repository("/a", None)]);
    assert_eq!(places(&[("STORAGE_URI", "s3://b/p")], ""), [repository("s3://b/p", None)]);
    // a volume or an image is mounted there, whatever the address says
    for uri in ["pvc://claim/model", "oci://registry/model:1", "gs://b/p"] {
        assert_eq!(places(&[("STORAGE_URI", uri)], ""), [repository("/mnt/models", None)], "{uri}");
    }
}

#[test]
fn places_that_cannot_be_meant_are_problems() {
    for (line, variables, expected) in [
        (&["--model-dir=/a", "--model-repository=/b"][..], &[][..], "exclude each other"),
        (&["--model-dir=/a"], &[], "give --model-name too"),
        (&["--model-repository="], &[], "--model-repository:"),
        (&["--model-repository=gs://b/p"], &[], "gs://b/p: this scheme"),
        (&["--model-name=a/b"], &[], "expected a model name without slashes"),
        (&[], &[("DECIMA_MODEL_REPOSITORY", "/a,,/b")], "DECIMA_MODEL_REPOSITORY:"),
        (&[], &[("STORAGE_URI", "pvc://claim/model")], "STORAGE_URI: pvc://claim"),
    ] {
        let found = problems(line, variables, "");
        assert!(found.len() == 1 && found[0].contains(expected), "{line:?} {variables:?}: {found:?}");
    }
}

#[test]
fn kserve_decides_defaults() {
    let service = config(&[], &[("INFERENCE_SERVICE_NAME", "digits"), ("MODEL_INIT_MODE", "async")], "");
    assert_eq!(service.http.listen, Listen::Ready);
    assert!(service.models.await_folder);
    let early = config(&["--listen=early"], &[("INFERENCE_SERVICE_NAME", "digits")], "");
    assert_eq!(early.http.listen, Listen::Early);
    let pod = [("KUBERNETES_SERVICE_HOST", "10.96.0.1")];
    assert_eq!(config(&[], &pod, "").drain.delay, Duration::from_secs(5));
    assert_eq!(config(&["--drain-timeout=2s"], &pod, "").drain.delay, Duration::from_millis(400));
    assert_eq!(config(&["--drain-timeout=0"], &pod, "").drain.delay, Duration::ZERO);
    assert!(problems(&["--drain-delay=25s"], &[], "")[0].contains("raise --drain-timeout"));
}

#[test]
fn what_has_no_effect_is_said() {
    let warnings = |line: &[&str], variables: &[(&str, &str)]| resolve(line, variables, "").unwrap().warnings;
    for (line, expected) in [
        (&["--workers=2"][..], "--workers is a flag of KServe's"),
        (&["--model-repository=a", "--model-repository=b", "--model-name=c"], "--model-name has no effect"),
    ] {
        let found = warnings(line, &[]);
        assert!(found.len() == 1 && found[0].contains(expected), "{line:?}: {found:?}");
    }
    // a Kubernetes service called decima-http
    let link = [("DECIMA_HTTP_PORT", "tcp://10.96.0.7:80")];
    assert_eq!(warnings(&[], &link).len(), 1);
    assert_eq!(config(&[], &link, "").http.address.port(), 8080);
}

#[test]
fn the_printed_configuration_reads_back_as_itself() {
    let line =
        ["--model-repository=/a", "--model-repository=s3://b/p", "--device=cuda:1", "--log-level=debug"];
    let resolved = resolve(&line, &[("DECIMA_HTTP_PORT", "9")], "listen = \"ready\"").unwrap();
    let printed = resolved.to_toml();
    for line in [
        "model_repository = [\"/a\", \"s3://b/p\"] # --model-repository",
        "http_port = 9 # DECIMA_HTTP_PORT",
        "listen = \"ready\" # listen in decima.toml",
        "exit_on_error = true # default",
        "threads = 2 # default: cgroup quota 1.5 of 16 cores",
        "# model_dir is not set",
    ] {
        assert!(printed.contains(line), "{line} not in\n{printed}");
    }
    assert_eq!(config(&[], &[], &printed), resolved.config);
    let keys =
        printed.lines().filter(|line| ALL.iter().any(|s| line.trim_start_matches("# ").starts_with(s.key)));
    assert_eq!(keys.count(), ALL.len() - 1, "{printed}");
}

#[test]
fn the_store_is_reached_with_the_variables_of_the_sdk_where_it_is_needed() {
    let keys = [
        ("AWS_ENDPOINT_URL", "http://minio:9000"),
        ("AWS_ACCESS_KEY_ID", "minio"),
        ("AWS_SECRET_ACCESS_KEY", "minio123"),
    ];
    let bucket: &[&str] = &["--model-repository=s3://mlpipeline/models"];
    let resolved = resolve(bucket, &keys, "").unwrap();
    assert_eq!(resolved.config.models.store.endpoint.as_deref(), Some("http://minio:9000"));
    let printed = resolved.to_toml();
    assert!(printed.contains("http://minio:9000") && !printed.contains("minio123"), "{printed}");
    assert_eq!(config(&[], &keys, &printed), resolved.config);

    let feedback = resolve(&["--feedback=s3://mlpipeline/feedback"], &keys, "").unwrap();
    assert!(feedback.to_toml().contains("http://minio:9000"), "the models' bucket is not the only one");
    assert!(problems(&["--feedback=gs://b/p", "--feedback-rate=10001"], &[], "").len() == 2);

    // half a key is an error for a bucket, and of no concern for a folder
    assert!(problems(bucket, &keys[..2], "")[0].contains("AWS_SECRET_ACCESS_KEY"));
    assert!(!resolve(&[], &keys[..2], "").unwrap().to_toml().contains("minio"));
}

#[test]
fn the_table_names_things_in_one_way() {
    for setting in ALL {
        assert_eq!(setting.flag.replace('-', "_"), setting.key);
        let own = format!("DECIMA_{}", setting.key.to_uppercase());
        let expected = if setting.key == "log_level" { "RUST_LOG".to_owned() } else { own };
        assert_eq!(setting.environment[0], expected);
    }
}

#[test]
fn the_configuration_page_holds_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let marks = page.split_once("<!-- settings -->\n").zip(page.split_once("<!-- end of settings -->"));
    let ((before, _), (_, after)) = marks.expect("the page has the marks around the table");
    let expected = format!("{before}<!-- settings -->\n\n{}\n<!-- end of settings -->{after}", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == expected,
        "docs/CONFIGURATION.md lags behind the settings: run UPDATE_DOCS=1 cargo test -p decima-server \
         configuration_page"
    );
}
