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
    env,
    path::{Path, PathBuf},
    process::Command,
};

use oip::Datatype;

use crate::support::{Server, ServerBuilder, models};

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
        .model("scores", "1", &models::identity_of(Datatype::Fp32, &["N", "4"], &["N", "4"]))
        .file("scores/config.toml", "labels = [\"zero\", \"one\", \"two\"]")
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
fn tritonclient_http() {
    run(&server().start(), "triton.py", &["http"]);
}

#[test]
fn tritonclient_http_aio() {
    run(&server().start(), "triton.py", &["http.aio"]);
}

#[test]
fn kserve_rest() {
    run(&server().start(), "kserve_rest.py", &[]);
}

#[test]
fn two_bad_clients_fail_none_of_eight_good_ones_on_any_wire() {
    let server = server().start();
    for wire in ["json", "binary"] {
        run(&server, "crowd.py", &[wire]);
    }
}
