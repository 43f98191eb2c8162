//! Publishes objects in a bucket, with their SHA-256 in the metadata.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{Result, StorageError, bucket::BucketClient, transfer::hex};

/// Writes one new object.
pub(crate) async fn file(client: &BucketClient, key: &str, content: Bytes) -> Result<()> {
    let sha256 = hex(&Sha256::digest(&content));
    client.put(&client.address.key(key), content, &sha256).await
}

/// Writes one object and replaces an existing one.
pub(crate) async fn replace(client: &BucketClient, key: &str, content: Bytes) -> Result<()> {
    let sha256 = hex(&Sha256::digest(&content));
    client.replace(&client.address.key(key), content, &sha256).await
}

/// Writes the files of a version, with its model last: see [`crate::Store::publish`].
pub(crate) async fn files(client: &BucketClient, files: &[(&str, Bytes)]) -> Result<()> {
    let mut files: Vec<_> = files
        .iter()
        .map(|(name, content)| (client.address.key(name), content.clone(), hex(&Sha256::digest(content))))
        .collect();
    files.sort_by_key(|(key, ..)| Path::new(key).extension().is_some_and(|extension| extension == "onnx"));
    if let Some((model, _, sha256)) = files.last()
        && let Some(present) = client.head(model).await?
        && present.sha256.as_ref() != Some(sha256)
    {
        // checked before any other file is written
        return Err(StorageError::Exists { address: client.address_of(model) });
    }
    for (key, content, sha256) in files {
        client.put(&key, content, &sha256).await?;
    }
    Ok(())
}
