//! How to reach an S3 server. The settings support every environment variable that `KServe` and the AWS SDK define for
//! it.
//!
//! `STORAGE_ALLOW_PATTERNS` and `STORAGE_IGNORE_PATTERNS` are left out on purpose. They select files of a model hub,
//! but here the layout of the repository determines the files of a model.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Result, StorageError};

/// The folder where `KServe` mounts its CA bundle, and the name of the file in it.
const CA_BUNDLE_MOUNT: &str = "/etc/ssl/custom-certs";
const CA_BUNDLE_FILE: &str = "cabundle.crt";

/// The fields of `KServe`'s storage specification (the JSON in `STORAGE_CONFIG`), and the environment variable that
/// each one corresponds to.
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

/// How to reach an S3 server. A store in a folder does not use these settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The endpoint as a URL. `None` for AWS itself. An endpoint in the address takes precedence.
    pub endpoint: Option<String>,
    /// Whether an endpoint without a scheme (`s3://host:port/bucket`) uses HTTPS.
    pub use_https: bool,
    /// The region for which requests are signed.
    pub region: String,
    /// Where the credentials come from.
    pub credentials: Credentials,
    /// Whether the bucket's name is in the host or in the path of a URL.
    pub addressing: Addressing,
    /// Whether to use S3 Transfer Acceleration.
    pub accelerate: bool,
    /// A PEM file of CA certificates to trust in addition to the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Whether to verify the server's certificate. `false` is refused for HTTPS endpoints.
    pub verify_tls: bool,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time without a received byte.
    pub read_timeout: Duration,
    /// How often a request, or a body that makes no progress, is tried; at least 1.
    pub attempts: u32,
    /// Number of objects that are transferred at the same time; at least 1.
    pub concurrency: usize,
    /// Longest time for a whole operation with all its retries, such as the download of a model.
    pub deadline: Duration,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A fixed access key.
    Keys {
        /// The access key ID.
        id: String,
        /// The secret access key.
        secret: Secret,
        /// The session token of a temporary key.
        token: Option<Secret>,
    },
    /// Unsigned requests, for public buckets.
    Anonymous,
    /// An AWS role that the workload assumes with a web identity token (IRSA).
    WebIdentity {
        /// The ARN of the role.
        role: String,
        /// The file that contains the token.
        token_file: PathBuf,
        /// Name of the session.
        session: String,
    },
    /// The default chain: profile files, then the container's credentials, then the instance's (on AWS only).
    Chain,
}

/// Where a URL has the bucket's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// In the path for a custom endpoint, whose host name rarely has an entry per bucket; else in the host.
    Auto,
    /// In the host: `bucket.host/key`.
    Virtual,
}

/// A string that is never printed or logged.
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
    /// Reads the settings from environment variables through `env`, for example `|name| std::env::var(name).ok()`. An
    /// empty value counts as unset. `KServe`'s storage specification (`STORAGE_OVERRIDE_CONFIG`, then `STORAGE_CONFIG`)
    /// takes precedence over single variables, as in `KServe`'s own downloader.
    ///
    /// # Errors
    /// [`StorageError::Setting`] names the variable whose value is not valid.
    pub fn from_env(env: &impl Fn(&str) -> Option<String>) -> Result<Self> {
        let specification = [json(env, "STORAGE_OVERRIDE_CONFIG")?, json(env, "STORAGE_CONFIG")?];
        let one =
            |name: &str| specified(&specification, name).or_else(|| env(name)).filter(|v| !v.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| one(name));
        // without a scheme, KServe's variables mean HTTPS, and Triton's addresses mean HTTP
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

/// The endpoint as a URL. If it already has a scheme, that scheme is kept.
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

/// The CA bundle. `KServe` sets `AWS_CA_BUNDLE` to a file. If only the config map is set, the file is in the mounted
/// folder.
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
        // the parser's message would quote the text, which contains a secret
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

/// The value that a storage specification gives for a variable. Numbers and booleans are converted to text.
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
