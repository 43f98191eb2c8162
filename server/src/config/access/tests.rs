use super::*;
use crate::{
    cli::Args,
    config::{Config, ConfigError, Host, Resolved},
    platform::cpu_budget::CpuBudget,
};

fn resolve(line: &[&str], variables: &[(&str, &str)]) -> Result<Resolved, ConfigError> {
    let args = Args::parse(std::iter::once("decima-server").chain(line.iter().copied())).unwrap();
    let cpu_budget = CpuBudget { threads: 1, reason: "of the test".into() };
    let host = Host { models_mounted: false, terminal: false, cpu_budget };
    Config::resolve(&args.flags, &variables.iter().copied().collect(), None, &host)
}

#[test]
fn tokens_are_asked_for_where_there_are_some_unless_a_setting_says_otherwise() {
    let admin = |line: &[&str]| resolve(line, &[]).unwrap().config.access.admin;
    assert_eq!(admin(&[]), AdminCallers::Loopback);
    assert_eq!(admin(&["--admin-token-file=f"]), AdminCallers::Token);
    assert_eq!(admin(&["--admin-token-file=f", "--admin=loopback"]), AdminCallers::Loopback);
    assert_eq!(admin(&["--admin=open"]), AdminCallers::Open);
    for (line, expected) in [
        (&["--admin=token"][..], "give --admin-token-file too"),
        (&["--admin=open", "--admin-token-file=f"], "nobody is asked for a token"),
        (&["--admin=anybody"], "expected loopback, token or open"),
        (&["--admin-token-file="], "expected the path of a file"),
        (&["--tls-key=k"], "--tls-key has no effect without a certificate"),
        (&["--tls-client-ca=c"], "--tls-client-ca has no effect without a certificate"),
    ] {
        let error = resolve(line, &[]).unwrap_err();
        assert!(error.problems().len() == 1 && error.problems()[0].contains(expected), "{line:?}: {error}");
    }
}

#[test]
fn tls_has_the_names_and_the_port_of_kserve() {
    let files = TlsFiles { cert: "c".into(), key: "k".into(), client_ca: None };
    for (line, variables) in [
        (&["--tls-cert=c", "--tls-key=k"][..], &[][..]),
        (&["--ssl_certfile=c", "--ssl_keyfile", "k"], &[]),
        (&["--ssl-certfile=c", "--ssl-keyfile", "k"], &[]),
        (&[], &[("KSERVE_TLS_CERT_FILE", "c"), ("KSERVE_TLS_KEY_FILE", "k")]),
    ] {
        let config = resolve(line, variables).unwrap().config;
        assert_eq!((config.access.tls.as_ref(), config.http.address.port()), (Some(&files), 8443));
    }
    let config = resolve(&["--tls-cert=c", "--http-port=8080"], &[]).unwrap().config;
    assert_eq!(config.http.address.port(), 8080);
    assert_eq!(config.access.tls.unwrap().key, PathBuf::from("c"));
    let empty = [("KSERVE_TLS_CERT_FILE", ""), ("KSERVE_TLS_KEY_FILE", "")];
    assert_eq!(resolve(&[], &empty).unwrap().config.access, Access::default());
}
