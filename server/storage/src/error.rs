//! What can go wrong with a store, one line each: the address, the fault, the mend.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The address cannot be read.
    #[error(
        "{address}: {reason}; write s3://bucket/prefix, s3://http://host:port/bucket/prefix, file:///folder or a path"
    )]
    BadAddress {
        /// The text that was given.
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
    /// No credentials were found anywhere.
    #[error(
        "{address}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or awsAnonymousCredential=true for a public bucket ({cause})"
    )]
    NoCredentials {
        /// What was asked for.
        address: String,
        /// Where they were looked for.
        cause: String,
    },
    /// The bucket does not exist.
    #[error("{address}: {endpoint} has no bucket {bucket}: create it, or correct the address")]
    NoSuchBucket {
        /// What was asked for.
        address: String,
        /// The bucket.
        bucket: String,
        /// The server that was asked.
        endpoint: String,
    },
    /// The server does not know the access key, or the secret does not belong to it.
    #[error(
        "{address}: {endpoint} refused the credentials ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    BadCredentials {
        /// What was asked for.
        address: String,
        /// The server that was asked.
        endpoint: String,
        /// The server's code, such as `InvalidAccessKeyId`.
        code: String,
    },
    /// The credentials are good, but do not allow this.
    #[error("{address}: {endpoint} denied {action} ({code}): allow it in the policy of this access key")]
    AccessDenied {
        /// What was asked for.
        address: String,
        /// The server that was asked.
        endpoint: String,
        /// What was tried, such as `s3:GetObject`.
        action: &'static str,
        /// The server's code.
        code: String,
    },
    /// No connection, or no answer in time.
    #[error("{address}: cannot reach {endpoint}: {cause}; check the endpoint and that the server runs")]
    Unreachable {
        /// What was asked for.
        address: String,
        /// The server that was asked.
        endpoint: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server's TLS certificate is not trusted.
    #[error(
        "{address}: {endpoint} has a certificate that is not trusted: {cause}; name its CA's file in AWS_CA_BUNDLE"
    )]
    Certificate {
        /// What was asked for.
        address: String,
        /// The server that was asked.
        endpoint: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server answered with some other error.
    #[error("{address}: {endpoint} failed {action}: {code}: {message}")]
    Refused {
        /// What was asked for.
        address: String,
        /// The server that was asked.
        endpoint: String,
        /// What was tried, such as `s3:GetObject`.
        action: &'static str,
        /// The server's code, or the HTTP status where it gave none.
        code: String,
        /// The server's message.
        message: String,
        /// Whether the same request may succeed later: the server is overloaded or starting.
        transient: bool,
    },
    /// There is no such object, or nothing below the prefix.
    #[error("{address}: {what}: check the address")]
    NotFound {
        /// What was asked for.
        address: String,
        /// What is missing.
        what: &'static str,
    },
    /// The connection was lost in the middle of a body, again and again.
    #[error("{address}: the connection was cut after {received} of {size} bytes, {attempts} times: {cause}")]
    Cut {
        /// The object.
        address: String,
        /// Bytes received so far.
        received: u64,
        /// Bytes that the listing promised.
        size: u64,
        /// How often it was tried without progress.
        attempts: u32,
        /// The innermost cause of the last cut.
        cause: String,
    },
    /// The object is not the one that was listed: somebody replaced it in between.
    #[error("{address}: the object changed while it was read: publish each version under a name of its own")]
    Changed {
        /// The object.
        address: String,
    },
    /// The content is not what was published or expected.
    #[error("{address}: the content has the SHA-256 {actual}, but {expected} was expected: publish it again")]
    Checksum {
        /// The object.
        address: String,
        /// The digest that was published or configured, in hexadecimal.
        expected: String,
        /// The digest of what came.
        actual: String,
    },
    /// The object is larger than the caller accepts.
    #[error("{address}: {size} bytes, but at most {limit} are read here")]
    TooLarge {
        /// The object.
        address: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A version of this name was published before.
    #[error("{address} exists already and is never overwritten: choose another version")]
    Exists {
        /// The object or folder.
        address: String,
    },
    /// The whole operation took too long.
    #[error("{address}: not done within {} s: check the network, or allow more time", limit.as_secs())]
    Deadline {
        /// What was asked for.
        address: String,
        /// The time that was allowed.
        limit: Duration,
    },
    /// The local disk failed.
    #[error("{}: cannot {action}: {source}{}", path.display(), disk_mend(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, such as "write".
        action: &'static str,
        /// The operating system's answer.
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
    /// Whether the same operation may succeed later without anybody mending anything: the server is down,
    /// overloaded or slow, or a publisher is at work. A caller that waits for its store goes on only for these.
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
