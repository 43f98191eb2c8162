//! What a store holds, and what came of it.

use std::io;

/// One object of a store, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key below the store's location, with `/` between its parts: `1/model.onnx`.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Changes whenever the content does: the server's `ETag`, or a file's size and time of change.
    pub etag: Option<String>,
    /// The SHA-256 in hexadecimal that the content must have. Listings leave it empty; a caller that knows it
    /// sets it, and a download that has another one fails.
    pub sha256: Option<String>,
    /// The key in the bucket; empty for files.
    pub(crate) full_key: String,
}

/// One downloaded object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What was downloaded; its size and `ETag` are those of the content that arrived.
    pub object: Object,
    /// The SHA-256 of the content in hexadecimal.
    pub sha256: String,
}

/// What is below a location.
#[derive(Debug, Default)]
pub struct Listing {
    /// Every object, ordered by key.
    pub objects: Vec<Object>,
    /// Folders that could not be looked into, ordered by key.
    pub unreadable: Vec<Unreadable>,
}

/// A folder that this process may not read.
#[derive(Debug)]
pub struct Unreadable {
    /// The key of the folder, without a slash at its end.
    pub key: String,
    /// The system's answer.
    pub error: io::Error,
}

impl Unreadable {
    pub(crate) fn new(prefix: &str, error: io::Error) -> Self {
        Self { key: prefix.trim_end_matches('/').to_owned(), error }
    }
}
