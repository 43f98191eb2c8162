//! Who may ask for what, and with which certificate the server answers: the settings, and how they are resolved.

use std::{path::PathBuf, str::FromStr};

use super::{
    fallback::Fallback,
    group::Group,
    resolver::Resolver,
    setting::{Setting, settings},
};

settings! {
    ADMIN = Setting {
        key: "admin",
        flag: "admin",
        environment: &["DECIMA_ADMIN"],
        value: "CALLERS",
        fallback: Fallback::Computed("`token` where `--admin-token-file` is set, else `loopback`"),
        group: Group::Access,
        help: "Who may load and unload models: loopback (callers on this machine or in this pod; others with a token, \
               where --admin-token-file is set), token (only callers with a token) or open (everybody who reaches the \
               port).",
    };
    ADMIN_TOKEN_FILE = Setting {
        key: "admin_token_file",
        flag: "admin-token-file",
        environment: &["DECIMA_ADMIN_TOKEN_FILE"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Access,
        help: "File with the tokens for loading and unloading models, one a line. A client sends one as \
               Authorization: Bearer TOKEN.",
    };
    TOKEN_FILE = Setting {
        key: "token_file",
        flag: "token-file",
        environment: &["DECIMA_TOKEN_FILE"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Access,
        help: "File with the tokens for inference and for all that is said about models, one a line. Health and \
               pages need none. Without it everybody may ask.",
    };
    METRICS_TOKEN_FILE = Setting {
        key: "metrics_token_file",
        flag: "metrics-token-file",
        environment: &["DECIMA_METRICS_TOKEN_FILE"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Access,
        help: "File with the tokens for /metrics, one a line. Without it everybody may read them.",
    };
    TLS_CERT = Setting {
        key: "tls_cert",
        flag: "tls-cert",
        environment: &["DECIMA_TLS_CERT", "KSERVE_TLS_CERT_FILE"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Access,
        help: "PEM file with the server's certificate, followed by those between it and its authority. With it every \
               port speaks TLS, and nothing else. KServe's --ssl_certfile is the same.",
    };
    TLS_KEY = Setting {
        key: "tls_key",
        flag: "tls-key",
        environment: &["DECIMA_TLS_KEY", "KSERVE_TLS_KEY_FILE"],
        value: "FILE",
        fallback: Fallback::Computed("the file of `--tls-cert`"),
        group: Group::Access,
        help: "PEM file with the private key of the certificate. KServe's --ssl_keyfile is the same.",
    };
    TLS_CLIENT_CA = Setting {
        key: "tls_client_ca",
        flag: "tls-client-ca",
        environment: &["DECIMA_TLS_CLIENT_CA"],
        value: "FILE",
        fallback: Fallback::Unset,
        group: Group::Access,
        help: "PEM file with authorities. Every client then has to show a certificate of one of them (mTLS), probes \
               too.",
    };
}

/// Other spellings of flags, which `KServe`'s own servers have, by the key of the setting.
pub const SPELLINGS_OF_KSERVE: [(&str, &str); 4] = [
    ("tls_cert", "ssl_certfile"),
    ("tls_cert", "ssl-certfile"),
    ("tls_key", "ssl_keyfile"),
    ("tls_key", "ssl-keyfile"),
];

/// Who may ask for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Who may load and unload models.
    pub admin: AdminCallers,
    /// The file with the tokens for that.
    pub admin_tokens: Option<PathBuf>,
    /// The file with the tokens for inference and metadata; `None`: everybody may ask.
    pub infer_tokens: Option<PathBuf>,
    /// The file with the tokens for metrics; `None`: everybody may ask.
    pub metrics_tokens: Option<PathBuf>,
    /// How connections are encrypted; `None`: they are not.
    pub tls: Option<TlsFiles>,
}

/// Who may load and unload models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdminCallers {
    /// Who is on this machine, or has a token.
    #[default]
    Loopback,
    /// Who has a token.
    Token,
    /// Everybody.
    Open,
}

/// The files of TLS, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, and those between it and its authority.
    pub cert: PathBuf,
    /// The private key of the certificate; it may be the same file.
    pub key: PathBuf,
    /// The authorities of the clients' certificates; `None`: clients need none.
    pub client_ca: Option<PathBuf>,
}

impl FromStr for AdminCallers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "token" => Ok(Self::Token),
            "open" => Ok(Self::Open),
            _ => Err("expected loopback, token or open".into()),
        }
    }
}

pub(super) fn resolve(resolver: &mut Resolver<'_>) -> Access {
    let admin_tokens = resolver.find(ADMIN_TOKEN_FILE, file);
    let default = match admin_tokens {
        Some(_) => ("token".into(), Some("--admin-token-file is set".into())),
        None => ("loopback".into(), None),
    };
    let admin = resolver.value_or(ADMIN, default, str::parse);
    match admin {
        AdminCallers::Token if admin_tokens.is_none() => {
            resolver.problem("the setting admin is token without tokens: give --admin-token-file too".into());
        }
        AdminCallers::Open if admin_tokens.is_some() => {
            let problem = "the setting admin is open, so nobody is asked for a token: leave out --admin-token-file, \
                           or choose token or loopback";
            resolver.problem(problem.into());
        }
        AdminCallers::Token | AdminCallers::Open | AdminCallers::Loopback => {}
    }
    Access {
        admin,
        admin_tokens,
        infer_tokens: resolver.find(TOKEN_FILE, file),
        metrics_tokens: resolver.find(METRICS_TOKEN_FILE, file),
        tls: tls(resolver),
    }
}

fn tls(resolver: &mut Resolver<'_>) -> Option<TlsFiles> {
    let Some(cert) = resolver.find(TLS_CERT, file) else {
        for setting in [TLS_KEY, TLS_CLIENT_CA] {
            if resolver.find(setting, file).is_some() {
                let origin = resolver.origin(setting).unwrap_or_default();
                resolver
                    .problem(format!("{origin} has no effect without a certificate: give --tls-cert too"));
            }
        }
        return None;
    };
    let same_file = (cert.display().to_string(), Some("the file of the certificate".into()));
    let key = resolver.value_or(TLS_KEY, same_file, file);
    Some(TlsFiles { cert, key, client_ca: resolver.find(TLS_CLIENT_CA, file) })
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected the path of a file".into()) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests;
