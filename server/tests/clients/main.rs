//! Clients of `KServe` and Triton as they are published, against the real server: a Python program of this folder
//! is one test, and fails with all that it says. `scripts/setup clients` installs the clients.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
#[path = "../it/support/mod.rs"]
mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use oip::Datatype;

use crate::support::{Server, ServerBuilder, long, models, pictures, tls::Authority};

/// The shape of a digit.
const DIGIT: [&str; 4] = ["N", "28", "28", "1"];

/// The models that the programs ask: `common.py` says what they answer.
fn server() -> ServerBuilder {
    let identities = Datatype::ALL.iter().fold(ServerBuilder::new(), |builder, &datatype| {
        builder.model(datatype.as_str(), "1", &models::identity(datatype))
    });
    identities
        .model("pair", "1", &models::two_inputs())
        .model("root", "1", &models::square_root())
        .model("table", "1", &models::table())
        .model("slow", "1", &models::slow())
        .model("zeros", "1", &long::zeros())
        .model("scores", "1", &models::identity_of(Datatype::Fp32, &["N", "4"], &["N", "4"]))
        .file("scores/config.toml", "labels = [\"zero\", \"one\", \"two\"]")
        .model("digit", "1", &models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT))
        .file("digit/config.toml", pictures::MNIST)
        .model("wide", "1", &models::identity_of(Datatype::Fp32, &["N", "length"], &["N", "length"]))
        .model("versions", "1", &models::identity(Datatype::Int32))
        .model("versions", "2", &models::identity(Datatype::Int32))
        .file("versions/config.toml", "version_policy = \"all\"")
}

/// The Python that has the clients.
fn python() -> PathBuf {
    let cache = env::var_os("DECIMA_CACHE").map_or_else(
        || env::home_dir().expect("HOME or DECIMA_CACHE is set").join(".cache/decima"),
        PathBuf::from,
    );
    let python = cache.join("venv-clients/bin/python");
    assert!(python.is_file(), "no {}: run scripts/setup clients", python.display());
    python
}

/// Runs a program of this folder, with the server's address before the other arguments.
fn run(server: &Server, program: &str, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let output = Command::new(python())
        .arg(folder.join(program))
        .arg(server.address())
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}{}\nthe server:\n{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr),
        server.log().join("\n")
    );
}

#[test]
fn the_documented_versions_are_those_that_are_installed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pins = fs::read_to_string(root.join("scripts/requirements-clients.txt")).unwrap();
    let page = fs::read_to_string(root.join("docs/PROTOCOL.md")).unwrap();
    for client in [
        "tritonclient",
        "kserve",
        "grpcio-health-checking",
        "grpcio-reflection",
        "schemathesis",
        "openapi-python-client",
    ] {
        let pin = pins.lines().find_map(|line| line.strip_prefix(client)?.strip_prefix("=="));
        let version = pin.expect("every client is pinned").trim_end_matches(" \\");
        let row = format!("| `{client}` | {version} |");
        assert!(page.contains(&row), "docs/PROTOCOL.md has no row that begins {row}");
    }
}

#[test]
fn tritonclient_http() {
    run(&server().start(), "triton.py", &["http"]);
}

#[test]
fn tritonclient_http_aio() {
    run(&server().start(), "triton.py", &["http.aio"]);
}

#[test]
fn tritonclient_grpc() {
    run(&server().start(), "triton.py", &["grpc"]);
}

#[test]
fn tritonclient_grpc_aio() {
    run(&server().start(), "triton.py", &["grpc.aio"]);
}

#[test]
fn kserve_rest() {
    run(&server().start(), "kserve_rest.py", &[]);
}

#[test]
fn kserve_grpc() {
    run(&server().start(), "kserve_grpc.py", &[]);
}

#[test]
fn clients_over_tls_with_a_token_and_a_certificate_of_their_own() {
    let (folder, authority, clients) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (own, of_client, token) = (authority.sign(), clients.sign(), "a-token-of-a-client");
    let (cert, key) = (write("server.pem", &own.cert), write("server.key", &own.key));
    let (ca, tokens) = (write("ca.pem", &authority.pem()), write("tokens", token));
    let identity = [write("client.pem", &of_client.cert), write("client.key", &of_client.key)];
    let known = write("clients.pem", &clients.pem());
    let tls = ["--tls-cert", &cert, "--tls-key", &key, "--token-file", &tokens];
    for mutual in [&[][..], &["--tls-client-ca", &known]] {
        let server = server().args(tls).args(mutual.iter().copied()).start();
        for client in ["triton", "kserve"] {
            run(&server, "tls.py", &[client, &ca, token, &identity[0], &identity[1]]);
        }
    }
}

#[test]
fn grpc_health_and_reflection() {
    run(&server().start(), "services.py", &[]);
}

#[test]
fn two_bad_clients_fail_none_of_eight_good_ones_on_any_wire() {
    let server = server().start();
    for wire in ["json", "binary", "grpc"] {
        run(&server, "crowd.py", &[wire]);
    }
}

#[test]
fn schemathesis_finds_the_api_as_it_is_described() {
    run(&server().start(), "openapi.py", &[]);
}

#[test]
fn a_client_generated_from_the_description_asks_a_digit() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let server = ServerBuilder::new().args(["--model-repository", models.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    run(&server, "generated.py", &[]);
}
