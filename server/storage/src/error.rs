//! Errors of a store. Each message is one line with the address, the fault and the remedy.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The address is not valid.
    #[error(
        "{address}: {reason}; write s3://bucket/prefix, s3://http://host:port/bucket/prefix, file:///folder or a path"
    )]
    BadAddress {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An environment variable or a setting has a value that cannot be used.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable or setting.
        name: String,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// No credentials were found in any source.
    #[error(
        "{address}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or awsAnonymousCredential=true for a public bucket ({cause})"
    )]
    NoCredentials {
        /// The address of the request.
        address: String,
        /// The error of the credential sources.
        cause: String,
    },
    /// The bucket does not exist.
    #[error("{address}: {endpoint} has no bucket {bucket}: create it, or correct the address")]
    NoSuchBucket {
        /// The address of the request.
        address: String,
        /// Name of the bucket.
        bucket: String,
        /// The server.
        endpoint: String,
    },
    /// The server does not know the access key, or the secret key does not match it.
    #[error(
        "{address}: {endpoint} refused the credentials ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    BadCredentials {
        /// The address of the request.
        address: String,
        /// The server.
        endpoint: String,
        /// The server's error code, such as `InvalidAccessKeyId`.
        code: String,
    },
    /// The credentials are valid, but do not allow the action.
    #[error("{address}: {endpoint} denied {action} ({code}): allow it in the policy of this access key")]
    AccessDenied {
        /// The address of the request.
        address: String,
        /// The server.
        endpoint: String,
        /// The action that was denied, such as `s3:GetObject`.
        action: &'static str,
        /// The server's error code.
        code: String,
    },
    /// The connection failed, or the server did not respond in time.
    #[error("{address}: cannot reach {endpoint}: {cause}; check the endpoint and that the server runs")]
    Unreachable {
        /// The address of the request.
        address: String,
        /// The server.
        endpoint: String,
        /// The innermost cause of the failure.
        cause: String,
    },
    /// The server's TLS certificate is not trusted.
    #[error(
        "{address}: {endpoint} has a certificate that is not trusted: {cause}; name its CA's file in AWS_CA_BUNDLE"
    )]
    Certificate {
        /// The address of the request.
        address: String,
        /// The server.
        endpoint: String,
        /// The innermost cause of the failure.
        cause: String,
    },
    /// The server responded with an error that has no variant of its own.
    #[error("{address}: {endpoint} failed {action}: {code}: {message}")]
    Refused {
        /// The address of the request.
        address: String,
        /// The server.
        endpoint: String,
        /// The action that failed, such as `s3:GetObject`.
        action: &'static str,
        /// The server's error code, or the HTTP status if it sent no code.
        code: String,
        /// The server's message.
        message: String,
        /// Whether the same request may succeed later, because the server is overloaded or starting.
        transient: bool,
    },
    /// The object does not exist, or there is nothing below the prefix.
    #[error("{address}: {what}")]
    NotFound {
        /// The address of the request.
        address: String,
        /// What is missing, and the remedy.
        what: &'static str,
    },
    /// The connection was lost while a body was read, and retries did not help.
    #[error("{address}: the connection was cut after {received} of {size} bytes, {attempts} times: {cause}")]
    Cut {
        /// The address of the object.
        address: String,
        /// Bytes received so far.
        received: u64,
        /// Size of the object according to the listing, in bytes.
        size: u64,
        /// Number of attempts without progress.
        attempts: u32,
        /// The innermost cause of the last failure.
        cause: String,
    },
    /// The object changed between its listing and its download.
    #[error("{address}: the object changed while it was read: publish each version under a name of its own")]
    Changed {
        /// The address of the object.
        address: String,
    },
    /// The content does not have the expected SHA-256.
    #[error("{address}: the content has the SHA-256 {actual}, but {expected} was expected: publish it again")]
    Checksum {
        /// The address of the object.
        address: String,
        /// The digest that was published or configured, in hexadecimal.
        expected: String,
        /// The SHA-256 of the received content, in hexadecimal.
        actual: String,
    },
    /// The object is larger than the caller allows.
    #[error("{address}: {size} bytes, but at most {limit} are read here")]
    TooLarge {
        /// The address of the object.
        address: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A version of this name has already been published.
    #[error("{address} exists already and is never overwritten: choose another version")]
    Exists {
        /// The address of the object or folder.
        address: String,
    },
    /// The operation took longer than its deadline.
    #[error("{address}: not done within {} s: check the network, or allow more time", limit.as_secs())]
    Deadline {
        /// The address of the request.
        address: String,
        /// The time allowed.
        limit: Duration,
    },
    /// An operation on a local file failed.
    #[error("{}: cannot {action}: {source}{}", path.display(), disk_mend(source))]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// The operation, such as "write".
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
}

fn disk_mend(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space, or choose another folder",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that this user may use"
        }
        _ => "",
    }
}

impl StorageError {
    /// Whether the same operation may succeed later without any action by the user: the server is down, overloaded or
    /// slow, or a version is being published. Callers that wait for a store should retry only these errors.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } | Self::Changed { .. } | Self::Deadline { .. } => {
                true
            }
            Self::Refused { transient, .. } => *transient,
            _ => false,
        }
    }

    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
