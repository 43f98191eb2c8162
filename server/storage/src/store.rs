//! A store: one prefix of a bucket, or one folder, with the same operations.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Location, Result, Settings, StorageError,
    bucket::BucketClient,
    download, folder,
    object::{Fetched, Listing, Object},
    publish, transfer,
};

/// How often a download starts over because an object changed after it was listed.
const FRESH_LISTINGS: usize = 3;

/// Objects below a [`Location`]. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Store {
    location: Location,
    deadline: Duration,
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Folder(PathBuf),
    Bucket(Box<BucketClient>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.location)
    }
}

impl Store {
    /// A store at a location. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`StorageError::Setting`] for settings that cannot be used: a CA bundle that cannot be read, HTTPS
    /// without a check of certificates.
    pub fn open(location: &Location, settings: &Settings) -> Result<Self> {
        let backend = match location {
            Location::Folder(path) => Backend::Folder(path.clone()),
            Location::Bucket(bucket) => Backend::Bucket(Box::new(BucketClient::open(bucket, settings)?)),
        };
        Ok(Self { location: location.clone(), deadline: settings.deadline, backend })
    }

    /// The store at `part` below this one, such as `digits/3`; it shares this one's connections.
    #[must_use]
    pub fn below(&self, part: &str) -> Self {
        let location = self.location.join(part);
        let backend = match (&self.backend, &location) {
            (Backend::Bucket(client), Location::Bucket(bucket)) => {
                Backend::Bucket(Box::new(client.with_address(bucket.clone())))
            }
            (_, Location::Folder(path)) => Backend::Folder(path.clone()),
            (Backend::Folder(_), Location::Bucket(_)) => {
                unreachable!("a folder joined with a key is a folder")
            }
        };
        Self { location, deadline: self.deadline, backend }
    }

    /// Where the store is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The folder, for a store that is one: its files need no download.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Folder(path) => Some(path),
            Backend::Bucket(_) => None,
        }
    }

    /// Every object below the location, ordered by key. An address that is itself an object lists it under its
    /// own name. Hidden files of a folder are left out, and so are folders in it that this process may not read;
    /// symbolic links are followed.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none, and whatever the server or the disk reports.
    pub async fn list(&self) -> Result<Vec<Object>> {
        let objects = self.look().await?.objects;
        if objects.is_empty() { Err(self.not_found("", "nothing is there")) } else { Ok(objects) }
    }

    /// The same as [`Store::list`], and what could not be looked into.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is neither, and whatever the server or the disk reports.
    pub async fn look(&self) -> Result<Listing> {
        let mut listing = match &self.backend {
            Backend::Folder(path) => folder::list(path).await?,
            Backend::Bucket(client) => {
                Listing { objects: self.within_deadline(client.list()).await?, ..Listing::default() }
            }
        };
        if listing.objects.is_empty() && listing.unreadable.is_empty() {
            return Err(self.not_found("", "nothing is there"));
        }
        listing.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        listing.unreadable.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(listing)
    }

    /// Reads one small object, such as a configuration file.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::TooLarge`] above `limit` bytes, and whatever the server or
    /// the disk reports.
    pub async fn read(&self, key: &str, limit: u64) -> Result<Bytes> {
        match &self.backend {
            Backend::Folder(path) => folder::read(&path.join(key), limit).await,
            Backend::Bucket(client) => self.within_deadline(transfer::read(client, key, limit)).await,
        }
    }

    /// Downloads objects of [`Store::list`] into the new folder `to`, which appears when all of them are there
    /// and synchronised to the disk, or not at all. `progress` is told the bytes as they arrive.
    ///
    /// Cut connections are resumed. When an object changed after it was listed, everything is listed and
    /// downloaded again a few times, so that what appears belongs together.
    ///
    /// # Errors
    /// [`StorageError::Changed`], [`StorageError::Cut`], [`StorageError::Checksum`], [`StorageError::Exists`]
    /// for `to`, [`StorageError::Deadline`], and whatever the server or the disk reports.
    pub async fn download(
        &self,
        objects: &[Object],
        to: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Vec<Fetched>> {
        let (folder, fetched) = self.fetch(objects, download::parent(to), progress).await?;
        match download::place(folder, to)? {
            download::Placed::Now => Ok(fetched),
            download::Placed::Before => Err(StorageError::Exists { address: to.display().to_string() }),
        }
    }

    /// Downloads objects into a temporary folder below `parent`.
    pub(crate) async fn fetch(
        &self,
        objects: &[Object],
        parent: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(tempfile::TempDir, Vec<Fetched>)> {
        self.within_deadline(async {
            let mut objects = objects.to_vec();
            for _ in 1..FRESH_LISTINGS {
                match self.fetch_listed(&objects, parent, progress).await {
                    Err(StorageError::Changed { address }) => {
                        tracing::warn!(address, "an object changed while it was read; listing again");
                        objects = self.listed_again(&objects).await?;
                    }
                    other => return other,
                }
            }
            self.fetch_listed(&objects, parent, progress).await
        })
        .await
    }

    async fn fetch_listed(
        &self,
        objects: &[Object],
        parent: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(tempfile::TempDir, Vec<Fetched>)> {
        match &self.backend {
            Backend::Bucket(client) => download::objects(client, objects, parent, progress).await,
            Backend::Folder(path) => folder::copy(path, objects, parent, progress).await,
        }
    }

    /// The same keys as they are now, with the SHA-256 that the caller demanded.
    async fn listed_again(&self, objects: &[Object]) -> Result<Vec<Object>> {
        let mut now: BTreeMap<String, Object> =
            self.list().await?.into_iter().map(|object| (object.key.clone(), object)).collect();
        objects
            .iter()
            .map(|old| {
                let new = now.remove(&old.key).ok_or_else(|| self.not_found(&old.key, "no such object"))?;
                Ok(Object { sha256: old.sha256.clone(), ..new })
            })
            .collect()
    }

    /// Publishes `files` (name and content) as the new folder `version` of this store, which is a model's
    /// folder. The version appears whole or not at all, and one that exists is never overwritten.
    ///
    /// In a folder it is renamed into place. In a bucket, where objects appear one by one, files that end in
    /// `.onnx` are written last: a version without its model is no version for whoever looks for models.
    ///
    /// # Errors
    /// [`StorageError::Exists`] when the version was published before with other content, and whatever the
    /// server or the disk reports.
    pub async fn publish(&self, version: &str, files: &[(&str, Bytes)]) -> Result<()> {
        for name in files.iter().map(|(name, _)| *name).chain([version]) {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
                let reason = format!("{name:?} is no name for a version or a file of one");
                return Err(StorageError::Setting { name: "version".to_owned(), reason });
            }
        }
        match &self.backend {
            Backend::Folder(path) => folder::publish(&path.join(version), files).await,
            Backend::Bucket(client) => {
                let client = client.with_address(match self.location.join(version) {
                    Location::Bucket(bucket) => bucket,
                    Location::Folder(_) => unreachable!("a bucket joined with a key is a bucket"),
                });
                self.within_deadline(publish::files(&client, files)).await
            }
        }
    }

    /// Writes one object that does not exist yet, such as a model's configuration beside its versions.
    ///
    /// # Errors
    /// [`StorageError::Exists`] when there is one with other content, and whatever the server or the disk
    /// reports.
    pub async fn create(&self, key: &str, content: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Folder(path) => folder::create(&path.join(key), &content).await,
            Backend::Bucket(client) => self.within_deadline(publish::file(client, key, content)).await,
        }
    }

    /// Writes one object, over another where there is one. It appears whole or not at all; folders that its key names are
    /// made.
    ///
    /// # Errors
    /// [`StorageError::Setting`] for a key that leads out of the store, and whatever the server or the disk reports.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Folder(path) => folder::put(path, key, content).await,
            Backend::Bucket(client) => {
                download::safe(key)?;
                self.within_deadline(publish::replace(client, key, content)).await
            }
        }
    }

    /// The number after the highest version in this store, which is a model's folder; 1 where there is none.
    ///
    /// # Errors
    /// Whatever the server or the disk reports.
    pub async fn next_version(&self) -> Result<u64> {
        let objects = match self.list().await {
            Err(StorageError::NotFound { .. }) => return Ok(1),
            listed => listed?,
        };
        let versions = objects.iter().filter_map(|object| object.key.split('/').next()?.parse::<u64>().ok());
        Ok(versions.max().map_or(1, |highest| highest.saturating_add(1)))
    }

    fn not_found(&self, key: &str, what: &'static str) -> StorageError {
        StorageError::NotFound { address: self.location.join(key).to_string(), what }
    }

    async fn within_deadline<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        // boxed: the futures of the SDK are large
        let work = Box::pin(work);
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| {
            Err(StorageError::Deadline { address: self.location.to_string(), limit: self.deadline })
        })
    }
}
