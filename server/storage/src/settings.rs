//! How to reach an S3 store: every environment variable that KServe and the AWS SDK use for one.
//!
//! `STORAGE_ALLOW_PATTERNS` and `STORAGE_IGNORE_PATTERNS` are deliberately absent: they select files of whole
//! model hubs, while a repository's layout says which files a model consists of.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Result, StorageError};

/// Where KServe mounts its CA bundle, and the file in that folder.
const CA_BUNDLE_MOUNT: &str = "/etc/ssl/custom-certs";
const CA_BUNDLE_FILE: &str = "cabundle.crt";

/// The fields of KServe's storage specification (the JSON in `STORAGE_CONFIG`) and the variables they stand for.
const STORAGE_CONFIG_FIELDS: [(&str, &str); 8] = [
    ("endpoint_url", "AWS_ENDPOINT_URL_S3"),
    ("access_key_id", "AWS_ACCESS_KEY_ID"),
    ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("region", "AWS_REGION"),
    ("ca_bundle", "AWS_CA_BUNDLE"),
    ("verify_ssl", "S3_VERIFY_SSL"),
    ("anonymous", "awsAnonymousCredential"),
    ("cabundle_configmap", "AWS_CA_BUNDLE_CONFIGMAP"),
];

/// How to reach an S3 store. A store that is a folder needs none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The endpoint as a URL; `None` for AWS itself. An endpoint in the address outranks it.
    pub endpoint: Option<String>,
    /// Whether an endpoint without a scheme in an address (`s3://host:port/bucket`) means HTTPS.
    pub use_https: bool,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Where the bucket's name goes.
    pub addressing: Addressing,
    /// Whether AWS's accelerated endpoint is used.
    pub accelerate: bool,
    /// A PEM file with the certificates to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Whether the server's certificate is checked. `false` is refused for HTTPS endpoints.
    pub verify_tls: bool,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time without a byte received.
    pub read_timeout: Duration,
    /// How often a request is tried, and a body without progress; at least 1.
    pub attempts: u32,
    /// How many objects are transferred at once; at least 1.
    pub concurrency: usize,
    /// Time for a whole operation, such as the download of a model with all its retries.
    pub deadline: Duration,
}

/// Who asks the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A fixed access key.
    Keys {
        /// The access key's name.
        id: String,
        /// Its secret.
        secret: Secret,
        /// The token of a temporary key.
        token: Option<Secret>,
    },
    /// Unsigned requests, for public buckets.
    Anonymous,
    /// An AWS role that this workload may assume with a token (IRSA).
    WebIdentity {
        /// The role's ARN.
        role: String,
        /// The file with the token.
        token_file: PathBuf,
        /// The name of the session.
        session: String,
    },
    /// Nothing was said: profile files, then the container's credentials, then the instance's (AWS only).
    Chain,
}

/// Where the bucket's name goes in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// Path style for a custom endpoint (its host name rarely has one entry per bucket), else virtual host.
    Auto,
    /// `bucket.host/key`.
    Virtual,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Settings {
    /// Reads the settings from environment variables through `env` (`|name| std::env::var(name).ok()`).
    /// Empty values count as unset. The storage specification of KServe (`STORAGE_OVERRIDE_CONFIG`, then
    /// `STORAGE_CONFIG`) outranks single variables, as in KServe's own downloader.
    ///
    /// # Errors
    /// [`StorageError::Setting`] when a value cannot be used; it names the variable.
    pub fn from_env(env: &impl Fn(&str) -> Option<String>) -> Result<Self> {
        let specification = [json(env, "STORAGE_OVERRIDE_CONFIG")?, json(env, "STORAGE_CONFIG")?];
        let one =
            |name: &str| specified(&specification, name).or_else(|| env(name)).filter(|v| !v.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| one(name));
        // where nothing is said, KServe takes its bare endpoint for HTTPS, and Triton its bare address for HTTP
        let use_https = one("S3_USE_HTTPS").map(|value| is_true(&value));
        let endpoint = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT"]);

        Ok(Self {
            endpoint: endpoint.map(|endpoint| with_scheme(&endpoint, use_https.unwrap_or(true))),
            use_https: use_https.unwrap_or(false),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".to_owned()),
            credentials: credentials(&one)?,
            addressing: match one("S3_USER_VIRTUAL_BUCKET") {
                Some(value) if is_true(&value) => Addressing::Virtual,
                _ => Addressing::Auto,
            },
            accelerate: one("S3_USE_ACCELERATE").is_some_and(|value| is_true(&value)),
            ca_bundle: ca_bundle(&one),
            verify_tls: !one("S3_VERIFY_SSL").is_some_and(|value| is_false(&value)),
            connect_timeout: seconds(&one, "S3_CONNECT_TIMEOUT", 15)?,
            read_timeout: seconds(&one, "S3_READ_TIMEOUT", 30)?,
            attempts: number(&one, "S3_MAX_ATTEMPTS", 3)?,
            concurrency: number(&one, "S3_MAX_FILE_CONCURRENCY", 4)?,
            deadline: Duration::from_mins(10),
        })
    }
}

/// The endpoint as a URL: a scheme that it carries wins.
pub(crate) fn with_scheme(endpoint: &str, https: bool) -> String {
    match endpoint {
        url if url.starts_with("http://") || url.starts_with("https://") => url.to_owned(),
        host if https => format!("https://{host}"),
        host => format!("http://{host}"),
    }
}

fn credentials(one: &impl Fn(&str) -> Option<String>) -> Result<Credentials> {
    if one("awsAnonymousCredential").is_some_and(|value| is_true(&value)) {
        return Ok(Credentials::Anonymous);
    }
    let token = one("AWS_SESSION_TOKEN").map(Secret);
    match (one("AWS_ACCESS_KEY_ID"), one("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => return Ok(Credentials::Keys { id, secret: Secret(secret), token }),
        (Some(_), None) => return Err(unset("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        (None, Some(_)) => return Err(unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        (None, None) => {}
    }
    Ok(match (one("AWS_ROLE_ARN"), one("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        (Some(role), Some(token_file)) => Credentials::WebIdentity {
            role,
            token_file: token_file.into(),
            session: one("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "decima".to_owned()),
        },
        _ => Credentials::Chain,
    })
}

/// KServe names a file in `AWS_CA_BUNDLE`; with a config map alone, the file is at the mount point.
fn ca_bundle(one: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(file) = one("AWS_CA_BUNDLE") {
        return Some(file.into());
    }
    one("AWS_CA_BUNDLE_CONFIGMAP").or_else(|| one("CA_BUNDLE_CONFIGMAP_NAME"))?;
    let mount = one("CA_BUNDLE_VOLUME_MOUNT_POINT").unwrap_or_else(|| CA_BUNDLE_MOUNT.to_owned());
    Some(PathBuf::from(mount).join(CA_BUNDLE_FILE))
}

fn json(env: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Map<String, Value>> {
    let Some(text) = env(name).filter(|text| !text.is_empty()) else { return Ok(Map::new()) };
    let fields: Map<String, Value> = serde_json::from_str(&text)
        // the parser's message would show the text, and the text holds a secret
        .map_err(|e| {
            setting(name, format!("not a JSON object (line {}, column {})", e.line(), e.column()))
        })?;
    match fields.get("type").and_then(Value::as_str) {
        Some(kind) if kind != "s3" => {
            Err(setting(name, format!("storage of type {kind} is not supported: use s3")))
        }
        _ => Ok(fields),
    }
}

/// What a storage specification says about a variable: numbers and booleans count as their text.
fn specified(specification: &[Map<String, Value>], name: &str) -> Option<String> {
    let (field, _) = STORAGE_CONFIG_FIELDS.iter().find(|(_, variable)| *variable == name)?;
    match specification.iter().find_map(|fields| fields.get(*field))? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn is_true(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

fn is_false(value: &str) -> bool {
    value == "0" || value.eq_ignore_ascii_case("false")
}

fn seconds(one: &impl Fn(&str) -> Option<String>, name: &str, default: u32) -> Result<Duration> {
    number(one, name, default).map(|n| Duration::from_secs(n.into()))
}

fn number<N: FromStr + Default + PartialEq>(
    one: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: N,
) -> Result<N> {
    let Some(text) = one(name) else { return Ok(default) };
    match text.trim().parse() {
        Ok(n) if n != N::default() => Ok(n),
        _ => Err(setting(name, format!("{text} is not a whole number of at least 1"))),
    }
}

fn unset(missing: &str, present: &str) -> StorageError {
    setting(missing, format!("not set, but {present} is: set both or none"))
}

fn setting(name: &str, reason: String) -> StorageError {
    StorageError::Setting { name: name.to_owned(), reason }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
