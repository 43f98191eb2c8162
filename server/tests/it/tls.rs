//! TLS on the ports: HTTP/1.1, HTTP/2 and gRPC, certificates that change, clients with certificates, and mistakes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use oip::{
    Datatype,
    grpc::{
        client::GrpcInferenceServiceClient,
        messages::{RepositoryModelLoadRequest, ServerReadyRequest},
    },
};

use crate::support::{
    Server, ServerBuilder, eventually, models,
    tls::{Authority, Identity, TlsClient, channel},
};

const BODY: &[u8] = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;
const INFER: &str = "/v2/models/m/infer";

/// A server with a certificate, and what its clients need.
struct Encrypted {
    server: Server,
    authority: Authority,
    identity: Identity,
    folder: tempfile::TempDir,
}

fn builder() -> ServerBuilder {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn start(args: &[&str]) -> Encrypted {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let identity = authority.sign();
    let [cert, key] = identity.write(folder.path());
    let server = builder().args(["--tls-cert", text(&cert), "--tls-key", text(&key)]);
    let server = server.args(args.iter().copied()).start();
    Encrypted { server, authority, identity, folder }
}

impl Encrypted {
    fn client(&self, protocols: &[&str]) -> TlsClient {
        TlsClient::connect(&self.server.address(), &self.authority, None, protocols)
    }

    /// Runs curl, which is nobody's of this project, and returns what it printed.
    fn curl(&self, args: &[&str]) -> String {
        let ca = self.folder.path().join("ca.pem");
        fs::write(&ca, self.authority.pem()).unwrap();
        let output = Command::new("curl").args(["-sS", "--cacert", text(&ca)]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn one_port_speaks_http_and_grpc_within_tls() {
    let encrypted = start(&[]);
    let address = encrypted.server.address();
    for (offered, chosen) in [
        (&[][..], None),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
    ] {
        let mut client = encrypted.client(offered);
        for _ in 0..3 {
            // HTTP/1.1 is understood whatever was agreed upon.
            let (status, body) = client.ask("POST", INFER, BODY).unwrap();
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        }
        assert_eq!(client.protocol().as_deref(), chosen, "{offered:?}");
    }
    let url = format!("https://{address}{INFER}");
    let body = str::from_utf8(BODY).unwrap();
    for (version, printed) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
        let args = [version, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", &url, "-d", body];
        assert_eq!(encrypted.curl(&args), printed);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = channel(address, &encrypted.authority, None).await.unwrap();
        let mut client = GrpcInferenceServiceClient::new(channel);
        assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
        let load =
            RepositoryModelLoadRequest { model_name: "m".into(), ..RepositoryModelLoadRequest::default() };
        assert!(client.repository_model_load(load).await.unwrap().into_inner().is_loaded);
    });
    let url = encrypted.server.wait_for_message("ready")["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://"), "{url}");
}

#[test]
fn large_bodies_pass_through_tls_in_both_directions() {
    let encrypted = start(&[]);
    let rows = 100_000;
    let numbers = vec!["1.5"; rows * 2].join(",");
    let body =
        format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{rows},2],"data":[{numbers}]}}]}}"#);
    for protocols in [&["http/1.1"][..], &[]] {
        let (status, answer) = encrypted.client(protocols).ask("POST", INFER, body.as_bytes()).unwrap();
        assert_eq!(status, 200);
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), rows * 2);
    }
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_cuts_no_old_one() {
    let encrypted = start(&[]);
    let mut old = encrypted.client(&["http/1.1"]);
    let ask = |client: &mut TlsClient| client.ask("POST", INFER, BODY).unwrap().0;
    assert_eq!(ask(&mut old), 200);
    assert_eq!(old.certificate(), encrypted.identity.der());
    let shown = || {
        let mut client = encrypted.client(&[]);
        assert_eq!(ask(&mut client), 200);
        client.certificate()
    };
    let second = encrypted.authority.sign();
    second.write(encrypted.folder.path());
    encrypted.server.hang_up();
    eventually(|| shown() == second.der());
    let third = encrypted.authority.sign();
    third.write(encrypted.folder.path()); // without a signal, it takes some seconds
    eventually(|| shown() == third.der());
    // Half of a new pair: the former one stays, and the log says what is wrong with which file.
    fs::write(encrypted.folder.path().join("cert.pem"), encrypted.authority.sign().cert).unwrap();
    encrypted.server.hang_up();
    let error = encrypted.server.wait_for("what was read before stays in force")["message"].to_string();
    assert!(error.contains("--tls-key") && error.contains("key.pem"), "{error}");
    assert_eq!(shown(), third.der());
    assert_eq!(ask(&mut old), 200, "the first connection is still open");
    assert_eq!(old.certificate(), encrypted.identity.der());
}

#[test]
fn clients_show_a_certificate_where_one_is_asked_for() {
    let (folder, clients) = (tempfile::tempdir().unwrap(), Authority::new());
    let ca = folder.path().join("clients.pem");
    fs::write(&ca, clients.pem()).unwrap();
    let encrypted = start(&["--tls-client-ca", text(&ca)]);
    let address = encrypted.server.address();
    let (known, stranger) = (clients.sign(), Authority::new().sign());
    for (identity, may) in [(Some(&known), true), (Some(&stranger), false), (None, false)] {
        let mut client = TlsClient::connect(&address, &encrypted.authority, identity, &["http/1.1"]);
        let answer = client.ask("POST", INFER, BODY);
        assert_eq!(answer.is_ok_and(|(status, _)| status == 200), may);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for (identity, may) in [(Some(&known), true), (Some(&stranger), false), (None, false)] {
            let ready = async {
                let channel = channel(address.clone(), &encrypted.authority, identity).await.ok()?;
                GrpcInferenceServiceClient::new(channel).server_ready(ServerReadyRequest {}).await.ok()
            };
            assert_eq!(ready.await.is_some(), may);
        }
    });
}

#[test]
fn a_client_without_tls_or_one_that_says_nothing_costs_nobody_else_anything() {
    let encrypted = start(&[]);
    let address = encrypted.server.address();
    let mut plain = TcpStream::connect(&address).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    plain.write_all(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "the port speaks TLS alone");

    let (begun, mut silent) = (Instant::now(), TcpStream::connect(&address).unwrap());
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    silent.write_all(&[22, 3, 1]).unwrap(); // the beginning of a handshake
    assert_eq!(encrypted.client(&[]).ask("GET", "/v2/health/live", b"").unwrap().0, 200);
    assert_eq!(silent.read(&mut [0; 8]).unwrap_or_default(), 0, "it is closed");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn tls_is_switched_on_as_kserve_does_it() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [cert, key] = authority.sign().write(folder.path());
    let flags = ["--ssl_certfile", text(&cert), "--ssl_keyfile", text(&key)];
    let underscores = ["--tls_cert", text(&cert), "--tls_key", text(&key)];
    let variables = [("KSERVE_TLS_CERT_FILE", text(&cert)), ("KSERVE_TLS_KEY_FILE", text(&key))];
    for server in [builder().args(flags), builder().args(underscores), builder().envs(variables)] {
        let server = server.start();
        let mut client = TlsClient::connect(&server.address(), &authority, None, &[]);
        assert_eq!(client.ask("POST", INFER, BODY).unwrap().0, 200);
    }
}

#[test]
fn a_wrong_file_ends_the_start_and_is_named() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [cert, key] = authority.sign().write(folder.path());
    let other = tempfile::tempdir().unwrap();
    let [_, other_key] = authority.sign().write(other.path());
    let missing = folder.path().join("missing.pem");
    for (args, named, reason) in [
        (["--tls-cert", text(&missing), "--tls-key", text(&key)], &missing, "No such file"),
        (
            ["--tls-cert", text(&cert), "--tls-key", text(&other_key)],
            &other_key,
            "not the key of the certificate",
        ),
        (["--tls-cert", text(&cert), "--tls-client-ca", text(&key)], &cert, "no private key"),
    ] {
        let mut server = builder().args(args).start_to_fail();
        assert_eq!(server.wait().code(), Some(64), "{args:?}");
        let log = server.log().join("\n");
        assert!(log.contains(text(named)) && log.contains(reason), "{log}");
    }
    let mut server = builder().args(["--tls-key", text(&key)]).start_to_fail();
    assert_eq!(server.wait().code(), Some(64));
    assert!(server.log().join("\n").contains("give --tls-cert too"), "{:?}", server.log());
}
