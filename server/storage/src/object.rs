//! Objects of a store, as listed and as downloaded.

use std::io;

/// An object of a store, from a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key relative to the store's location, with `/` as separator: `1/model.onnx`.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Identifies the content: the server's `ETag`, or a file's size and modification time. It changes when the content
    /// does.
    pub etag: Option<String>,
    /// The expected SHA-256 of the content, in hexadecimal. Listings leave it empty. If a caller sets it, a download of
    /// other content fails.
    pub sha256: Option<String>,
    /// The key in the bucket, prefix included; empty for files.
    pub(crate) full_key: String,
}

/// One downloaded object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The object, with the size and `ETag` of the content that was received.
    pub object: Object,
    /// The SHA-256 of the content in hexadecimal.
    pub sha256: String,
}

/// The content of a location.
#[derive(Debug, Default)]
pub struct Listing {
    /// Every object, ordered by key.
    pub objects: Vec<Object>,
    /// Folders that could not be listed, ordered by key.
    pub unreadable: Vec<Unreadable>,
}

/// A folder that this process may not list.
#[derive(Debug)]
pub struct Unreadable {
    /// The key of the folder, without a trailing slash.
    pub key: String,
    /// The operating system's error.
    pub error: io::Error,
}

impl Unreadable {
    pub(crate) fn new(prefix: &str, error: io::Error) -> Self {
        Self { key: prefix.trim_end_matches('/').to_owned(), error }
    }
}
