//! What a store holds, and what came of it.

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
