//! Who may ask for what: tokens by the purpose of a route, the callers that may administer the server, and the
//! server's certificate. All files are read again when they change.

mod admin;
mod reload;
pub mod tls;
mod tokens;

use std::path::{Path, PathBuf};

use http::{HeaderMap, Uri, header};

use self::tokens::Tokens;
use crate::{
    config::{self, AdminCallers},
    error::{ErrorCode, ServeError},
};

pub use self::{reload::Reloader, tls::Tls};

/// What a route is for. Health, pages and the description of the API are for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Inference, and what is said about models.
    Infer,
    /// Metrics.
    Metrics,
    /// Loading and unloading of models.
    Admin,
}

/// What is known of the other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Whether it is on this machine, by its address.
    pub is_loopback: bool,
    /// Whether the connection is encrypted.
    pub has_tls: bool,
}

/// Decides whether a request may be served.
#[derive(Debug, Default)]
pub struct Access {
    callers: AdminCallers,
    admin: Option<Tokens>,
    infer: Option<Tokens>,
    metrics: Option<Tokens>,
}

/// A file of access or TLS that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {}: {reason}", path.display())]
pub struct AccessError {
    /// The flag that names the file.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Access {
    /// Reads the files of tokens.
    ///
    /// # Errors
    /// A file cannot be read, or has no token.
    pub fn open(config: &config::Access) -> Result<Self, AccessError> {
        let open = |setting, path: &Option<PathBuf>| {
            path.as_deref().map(|path: &Path| Tokens::open(setting, path)).transpose()
        };
        Ok(Self {
            callers: config.admin,
            admin: open("--admin-token-file", &config.admin_tokens)?,
            infer: open("--token-file", &config.infer_tokens)?,
            metrics: open("--metrics-token-file", &config.metrics_tokens)?,
        })
    }

    /// Returns whether any request for this purpose can be refused.
    pub fn guards(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Infer => self.infer.is_some(),
            Purpose::Metrics => self.metrics.is_some(),
            Purpose::Admin => true,
        }
    }

    /// Checks whether a request may be served.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`] without a token that is right, and [`ErrorCode::PermissionDenied`] where no token
    /// would help.
    pub fn check(&self, purpose: Purpose, peer: Peer, uri: &Uri, head: &HeaderMap) -> Result<(), ServeError> {
        match purpose {
            Purpose::Infer => self.check_infer(head),
            Purpose::Metrics => check_token(self.metrics.as_ref(), head),
            Purpose::Admin => admin::check(self.callers, self.admin.as_ref(), peer, uri, head),
        }
    }

    /// Checks whether a request for inference may be served.
    ///
    /// # Errors
    /// As [`Access::check`].
    pub fn check_infer(&self, head: &HeaderMap) -> Result<(), ServeError> {
        check_token(self.infer.as_ref(), head)
    }

    fn tokens(&self) -> impl Iterator<Item = &Tokens> {
        [&self.admin, &self.infer, &self.metrics].into_iter().flatten()
    }
}

/// Checks the token of a request. Where no tokens are set, none is needed.
fn check_token(tokens: Option<&Tokens>, head: &HeaderMap) -> Result<(), ServeError> {
    let Some(tokens) = tokens else { return Ok(()) };
    match bearer(head) {
        Some(token) if tokens.contain(token) => Ok(()),
        Some(_) => Err(unauthenticated("the token is not one of this server's")),
        None => Err(unauthenticated("a token is missing: send the header 'Authorization: Bearer TOKEN'")),
    }
}

/// Returns the token that a request carries (RFC 6750, 2.1).
fn bearer(head: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = head.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn unauthenticated(message: &'static str) -> ServeError {
    ServeError::new(ErrorCode::Unauthenticated, message)
}
