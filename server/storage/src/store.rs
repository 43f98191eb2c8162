//! A store: a prefix of a bucket, or a folder. Both have the same operations.

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

/// How often a download is started again because an object changed after it was listed.
const MAX_LISTINGS: usize = 3;

/// The objects below a [`Location`]. A clone is cheap and shares the connections.
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
    /// Opens a store at a location. This sends no request to the server.
    ///
    /// # Errors
    /// [`StorageError::Setting`] if a setting is not valid, for example a CA bundle that cannot be read, or HTTPS
    /// without verification of certificates.
    pub fn open(location: &Location, settings: &Settings) -> Result<Self> {
        let backend = match location {
            Location::Folder(path) => Backend::Folder(path.clone()),
            Location::Bucket(bucket) => Backend::Bucket(Box::new(BucketClient::open(bucket, settings)?)),
        };
        Ok(Self { location: location.clone(), deadline: settings.deadline, backend })
    }

    /// The store at `part` below this one, such as `digits/3`. It shares this store's connections.
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

    /// The location of the store.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The folder, if the store is one. Its files need no download.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Folder(path) => Some(path),
            Backend::Bucket(_) => None,
        }
    }

    /// Lists every object below the location, ordered by key. If the address is itself an object, the list is that
    /// object. In a folder, hidden files and subfolders that this process may not read are skipped, and symbolic links
    /// are followed.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there are no objects, or an error of the server or the disk.
    pub async fn list(&self) -> Result<Vec<Object>> {
        let Listing { objects, unreadable } = self.look().await?;
        match (&objects[..], &unreadable[..]) {
            ([], []) => Err(self.not_found("", "the folder is empty")),
            ([], _) => Err(self.not_found("", "this user may read nothing in the folder")),
            _ => Ok(objects),
        }
    }

    /// Lists objects as [`Store::list`] does, together with the folders that could not be read. There may be none in a
    /// folder.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such folder, or nothing below the address in a bucket; or an error of
    /// the server or the disk.
    pub async fn look(&self) -> Result<Listing> {
        let mut listing = match &self.backend {
            Backend::Folder(path) => folder::list(path).await?,
            Backend::Bucket(client) => {
                let objects = self.within_deadline(client.list()).await?;
                // A bucket has no empty folders, so that a wrong address cannot be told from one that is still empty.
                if objects.is_empty() {
                    return Err(self.not_found("", "nothing is there: check the address"));
                }
                Listing { objects, ..Listing::default() }
            }
        };
        listing.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        listing.unreadable.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(listing)
    }

    /// Reads one small object into memory, such as a configuration file.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::TooLarge`] if the object has more than `limit` bytes, or an error of
    /// the server or the disk.
    pub async fn read(&self, key: &str, limit: u64) -> Result<Bytes> {
        match &self.backend {
            Backend::Folder(path) => folder::read(&path.join(key), limit).await,
            Backend::Bucket(client) => self.within_deadline(transfer::read(client, key, limit)).await,
        }
    }

    /// Downloads objects of [`Store::list`] into the new folder `to`. The folder appears when all objects are complete
    /// and written to the disk, or not at all. `progress` is called with the number of bytes that have arrived.
    ///
    /// A download resumes after a lost connection. If an object changed after it was listed, all objects are listed and
    /// downloaded again, up to a few times, so that the files of the result belong together.
    ///
    /// # Errors
    /// [`StorageError::Changed`], [`StorageError::Cut`], [`StorageError::Checksum`], [`StorageError::Exists`] if `to`
    /// exists, [`StorageError::Deadline`], or an error of the server or the disk.
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
            for _ in 1..MAX_LISTINGS {
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

    /// Lists the same keys again, and keeps the SHA-256 that the caller has set.
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

    /// Publishes `files` (name and content) as the new folder `version` of this store, which is the folder of a model.
    /// The version appears complete or not at all. An existing version is never overwritten.
    ///
    /// In a folder, the version is written under a temporary name and renamed. In a bucket, objects appear one by one,
    /// so files that end in `.onnx` are written last: readers ignore a version without a model.
    ///
    /// # Errors
    /// [`StorageError::Exists`] if the version exists with other content, or an error of the server or the disk.
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

    /// Writes one new object, such as a model's configuration.
    ///
    /// # Errors
    /// [`StorageError::Exists`] if the object exists with other content, or an error of the server or the disk.
    pub async fn create(&self, key: &str, content: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Folder(path) => folder::create(&path.join(key), &content).await,
            Backend::Bucket(client) => self.within_deadline(publish::file(client, key, content)).await,
        }
    }

    /// Writes one object and replaces an existing one. The object appears complete or not at all. Folders in its key
    /// are created.
    ///
    /// # Errors
    /// [`StorageError::Setting`] if the key would lead out of the store, or an error of the server or the disk.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Folder(path) => folder::put(path, key, content).await,
            Backend::Bucket(client) => {
                download::safe(key)?;
                self.within_deadline(publish::replace(client, key, content)).await
            }
        }
    }

    /// The number after the highest version in this store, which is the folder of a model; 1 if there is no version.
    ///
    /// # Errors
    /// An error of the server or the disk.
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
        // boxed, because the futures of the SDK are large
        let work = Box::pin(work);
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| {
            Err(StorageError::Deadline { address: self.location.to_string(), limit: self.deadline })
        })
    }
}
