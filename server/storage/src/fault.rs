//! Converts the SDK's errors to [`StorageError`]s.

use std::error::Error;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::StorageError;

/// A request and its server, for error messages.
pub(crate) struct RequestContext<'a> {
    pub(crate) address: String,
    pub(crate) bucket: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) action: &'static str,
}

/// The HTTP status of the server's response. `None` if there was no response.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Converts the error of a request to a [`StorageError`].
pub(crate) fn fault<E>(error: &SdkError<E>, context: RequestContext<'_>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let RequestContext { address, endpoint, bucket, action } = context;
    let endpoint = endpoint.to_owned();
    if chain(error).any(<dyn Error>::is::<CredentialsError>) {
        return StorageError::NoCredentials { address, cause: innermost(error) };
    }
    let Some(status) = status(error) else {
        let cause = innermost(error);
        return if cause.contains("certificate") {
            StorageError::Certificate { address, endpoint, cause }
        } else {
            StorageError::Unreachable { address, cause: with_scheme_hint(cause, &endpoint), endpoint }
        };
    };
    let code = error.code().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
    match (code.as_str(), status) {
        ("NoSuchBucket", _) => StorageError::NoSuchBucket { address, endpoint, bucket: bucket.to_owned() },
        ("NoSuchKey" | "NotFound", _) | (_, 404) => {
            StorageError::NotFound { address, what: "no such object: check the address" }
        }
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _) | (_, 401) => {
            StorageError::BadCredentials { address, endpoint, code }
        }
        (_, 403) => StorageError::AccessDenied { address, endpoint, action, code },
        _ => StorageError::Refused {
            message: error.message().map_or_else(|| innermost(error), one_line),
            transient: status >= 500 || status == 429,
            address,
            endpoint,
            action,
            code,
        },
    }
}

/// The message of the innermost cause, on one line. It says best what happened.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    one_line(&chain(error).last().unwrap_or(error).to_string())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source())
}

/// Adds a hint if the server probably speaks plain HTTP: its response to a TLS handshake is then not valid TLS. This is
/// a common mistake with MinIO.
fn with_scheme_hint(cause: String, endpoint: &str) -> String {
    if endpoint.starts_with("https://") && cause.contains("corrupt message") {
        format!("{cause}: it may speak plain HTTP: write http://, or set S3_USE_HTTPS=0")
    } else {
        cause
    }
}
