//! Requests to a bucket: list, head, get and put one object.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use crate::{
    Result, StorageError, client,
    fault::{RequestContext, fault, status},
    location::Bucket,
    object::Object,
    settings::Settings,
};

/// Metadata field of a published object that holds its SHA-256 in hexadecimal.
const SHA256_FIELD: &str = "sha256";

/// A bucket and the client that sends requests to it.
#[derive(Clone)]
pub(crate) struct BucketClient {
    client: Client,
    endpoint: Arc<str>,
    pub(crate) address: Bucket,
    pub(crate) settings: Arc<Settings>,
}

impl BucketClient {
    pub(crate) fn open(address: &Bucket, settings: &Settings) -> Result<Self> {
        let (client, endpoint) = client::build(address, settings)?;
        let settings = Arc::new(settings.clone());
        Ok(Self { client, endpoint: endpoint.into(), address: address.clone(), settings })
    }

    pub(crate) fn with_address(&self, address: Bucket) -> Self {
        Self { address, ..self.clone() }
    }

    /// The address of an object, for messages. `full_key` includes the prefix.
    pub(crate) fn address_of(&self, full_key: &str) -> String {
        Bucket { prefix: full_key.to_owned(), ..self.address.clone() }.to_string()
    }

    fn context(&self, full_key: &str, action: &'static str) -> RequestContext<'_> {
        RequestContext {
            address: self.address_of(full_key),
            bucket: &self.address.name,
            endpoint: &self.endpoint,
            action,
        }
    }

    /// Lists every object below the prefix. If the address is the key of an object, the list is that object alone.
    pub(crate) async fn list(&self) -> Result<Vec<Object>> {
        let prefix = self.address.key("");
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.address.name)
            .set_prefix(Some(prefix.clone()).filter(|prefix| !prefix.is_empty()))
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| fault(&e, self.context(&self.address.prefix, "s3:ListBucket")))?;
            objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(|found| {
                let full_key = found.key?;
                let key = full_key.strip_prefix(&prefix)?.trim_start_matches('/').to_owned();
                let size = u64::try_from(found.size?).ok()?;
                // S3 consoles create keys that end in a slash to show empty folders
                (!key.is_empty() && !key.ends_with('/')).then_some(Object {
                    key,
                    size,
                    etag: found.e_tag,
                    sha256: None,
                    full_key,
                })
            }));
        }
        if objects.is_empty() {
            objects.extend(self.as_object().await?);
        }
        Ok(objects)
    }

    /// The object whose key is the address itself, if there is one.
    async fn as_object(&self) -> Result<Option<Object>> {
        let full_key = self.address.prefix.clone();
        let Some(name) = full_key.rsplit('/').next().filter(|name| !name.is_empty()) else { return Ok(None) };
        let key = name.to_owned();
        Ok(self.head(&full_key).await?.map(|head| Object { key, full_key, ..head }))
    }

    /// Size, `ETag` and published SHA-256 of an object. `None` if it does not exist.
    pub(crate) async fn head(&self, full_key: &str) -> Result<Option<Object>> {
        let answer = self.client.head_object().bucket(&self.address.name).key(full_key).send().await;
        match answer {
            Ok(head) => Ok(Some(Object {
                key: String::new(),
                full_key: full_key.to_owned(),
                size: head.content_length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
                etag: head.e_tag,
                sha256: head.metadata.and_then(|mut fields| fields.remove(SHA256_FIELD)),
            })),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(fault(&error, self.context(full_key, "s3:GetObject"))),
        }
    }

    /// Starts to read an object at byte `from`. If an `ETag` is given, fails if the object has changed.
    pub(crate) async fn get(&self, full_key: &str, etag: Option<&str>, from: u64) -> Result<GetObjectOutput> {
        self.client
            .get_object()
            .bucket(&self.address.name)
            .key(full_key)
            .set_if_match(etag.map(str::to_owned))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .send()
            .await
            .map_err(|error| match status(&error) {
                // 416: the object is now shorter than what was already read
                Some(412 | 416) => StorageError::Changed { address: self.address_of(full_key) },
                _ => fault(&error, self.context(full_key, "s3:GetObject")),
            })
    }

    /// Writes an object with its SHA-256. Replaces an existing object.
    pub(crate) async fn replace(&self, full_key: &str, content: Bytes, sha256: &str) -> Result<()> {
        let put = self.client.put_object().bucket(&self.address.name).key(full_key);
        let put = put.metadata(SHA256_FIELD, sha256).body(ByteStream::from(content)).send();
        put.await.map(drop).map_err(|error| fault(&error, self.context(full_key, "s3:PutObject")))
    }

    /// Writes a new object with its SHA-256. It is no error if the object exists with the same content: the client
    /// repeats a request whose response was lost, although it may have succeeded.
    pub(crate) async fn put(&self, full_key: &str, content: Bytes, sha256: &str) -> Result<()> {
        let answer = self
            .client
            .put_object()
            .bucket(&self.address.name)
            .key(full_key)
            .if_none_match("*")
            .metadata(SHA256_FIELD, sha256)
            .body(ByteStream::from(content))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // 409: another client is writing the same key now
            Err(error) if matches!(status(&error), Some(409 | 412)) => match self.head(full_key).await? {
                Some(Object { sha256: Some(present), .. }) if present == sha256 => Ok(()),
                _ => Err(StorageError::Exists { address: self.address_of(full_key) }),
            },
            Err(error) => Err(fault(&error, self.context(full_key, "s3:PutObject"))),
        }
    }
}

/// The SHA-256 that the publisher stored in the object's metadata.
pub(crate) fn published_sha256(object: &GetObjectOutput) -> Option<&str> {
    object.metadata.as_ref()?.get(SHA256_FIELD).map(String::as_str)
}
