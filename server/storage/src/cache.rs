//! A folder of downloaded objects that is kept across restarts.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::{
    Result, StorageError, Store,
    download::{self, PART, Placed},
    object::Object,
    transfer::hex,
};

/// Prefix of the subfolders' names; 32 hexadecimal digits follow. The sweep removes only subfolders with such names.
const ENTRY_PREFIX: &str = "model-";
const DIGITS: usize = 32;

/// Prefix of a subfolder that is being removed.
const REMOVED_PREFIX: &str = ".leaving-";

/// An unfinished download that has not grown for this time is removed: its process has ended.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// How many times a download is tried if another process removes the folder while it is in use.
const MAX_TRIES: usize = 3;

/// A folder of downloads, with one subfolder for each set of objects.
///
/// The name of a subfolder is a hash of the store's location and of the keys, sizes and `ETag`s of its objects. A
/// finished download is renamed to this name. So a subfolder is always complete and never out of date, and a restart
/// downloads only what has changed. Several processes may share the folder: if two download the same objects, the first
/// one to finish places them, and no process removes a subfolder that another one holds.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A folder with objects. [`Cache::sweep`] does not remove it while this value exists.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// A lock that all holders of the subfolder share. `None` for a folder outside the cache.
    _lock: Option<File>,
}

impl Held {
    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Cache {
    /// A cache in the folder `root`, which is created when it is first needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns a folder with these objects of the store, each at the path that its key gives. They are downloaded
    /// unless they are in the cache. If the store is itself a folder, that folder is returned.
    ///
    /// The name of the cached folder covers the objects' SHA-256 too, so content with a SHA-256 has been checked at
    /// least once.
    ///
    /// # Errors
    /// The same as those of [`Store::download`].
    pub async fn fetch(&self, store: &Store, objects: &[Object]) -> Result<Held> {
        if let Some(path) = store.local_path() {
            let path = if path.is_file() { download::parent(path) } else { path };
            return Ok(Held { path: path.to_owned(), _lock: None });
        }
        if let Some(held) = self.entry(store, objects).and_then(hold) {
            tracing::debug!(location = %store.location(), folder = %held.path.display(), "already downloaded");
            return Ok(held);
        }
        for _ in 1..MAX_TRIES {
            if let Some(held) = self.download(store, objects).await? {
                return Ok(held);
            }
        }
        self.download(store, objects).await?.ok_or_else(|| {
            let source = io::Error::other("another process removes what is downloaded to it");
            StorageError::io(&self.root, "keep a model in")(source)
        })
    }

    /// Downloads the objects into a subfolder. `None` if another process had downloaded them and has removed them
    /// again.
    async fn download(&self, store: &Store, objects: &[Object]) -> Result<Option<Held>> {
        let (folder, fetched) = store.fetch(objects, &self.root, &|_| ()).await?;
        // the name is made from the objects that arrived, which may be newer than those requested
        let arrived: Vec<_> = fetched.into_iter().map(|fetched| fetched.object).collect();
        let entry = self.entry(store, &arrived).unwrap_or_else(|| self.unique(&folder));
        let lock = share(folder.path());
        Ok(match download::place(folder, &entry)? {
            Placed::Now => Some(Held { path: entry, _lock: lock }),
            Placed::Before => hold(entry),
        })
    }

    /// Removes every subfolder that no process holds, and downloads that were abandoned. A process that has files of
    /// such a folder open can still read them. Returns the number of subfolders removed.
    ///
    /// # Errors
    /// [`StorageError::Io`] if a file operation fails.
    pub fn sweep(&self) -> Result<usize> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(StorageError::io(&self.root, "read"))?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry.map_err(StorageError::io(&self.root, "read"))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if is_entry(&name) {
                removed += usize::from(self.evict(&path, &name)?);
            } else if name.starts_with(REMOVED_PREFIX) || (name.starts_with(PART) && is_abandoned(&path)) {
                remove(&path)?;
            }
        }
        Ok(removed)
    }

    /// Removes a subfolder unless it is held. Returns whether it was removed.
    fn evict(&self, path: &Path, name: &str) -> Result<bool> {
        let Ok(folder) = File::open(path) else { return Ok(false) }; // already removed
        match folder.try_lock() {
            Ok(()) => {}
            // without locks on this file system, the holders are unknown
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return Ok(false),
        }
        // The rename is one step, so that no process finds the subfolder half removed.
        let leaving = self.root.join(format!("{REMOVED_PREFIX}{name}"));
        match fs::rename(path, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed.map_err(StorageError::io(path, "remove"))?,
        }
        remove(&leaving)?;
        Ok(true)
    }

    /// The path of the subfolder for these objects. `None` if an object has no `ETag` that identifies its content.
    fn entry(&self, store: &Store, objects: &[Object]) -> Option<PathBuf> {
        let mut objects: Vec<_> = objects.iter().collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        let mut hasher = Sha256::new();
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        field(&store.location().to_string());
        for object in objects {
            field(&object.key);
            field(&object.size.to_string());
            field(object.etag.as_deref()?);
            field(object.sha256.as_deref().unwrap_or_default());
        }
        Some(self.named(hasher))
    }

    fn unique(&self, folder: &tempfile::TempDir) -> PathBuf {
        let name = folder.path().file_name().unwrap_or_default();
        self.named(Sha256::new_with_prefix(name.as_encoded_bytes()))
    }

    fn named(&self, hasher: Sha256) -> PathBuf {
        self.root.join(format!("{ENTRY_PREFIX}{}", &hex(&hasher.finalize())[..DIGITS]))
    }
}

/// Holds a subfolder, if it exists.
fn hold(path: PathBuf) -> Option<Held> {
    let lock = share(&path);
    // Another process may have removed the subfolder before the lock was taken, and put a new one in its place.
    let there = fs::metadata(&path).ok().filter(fs::Metadata::is_dir)?;
    let is_same = |lock: &File| lock.metadata().is_ok_and(|held| held.ino() == there.ino());
    lock.as_ref().is_none_or(is_same).then_some(Held { path, _lock: lock })
}

/// Takes a shared lock on a folder. `None` if the file system has no locks; then the sweep removes nothing.
fn share(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.try_lock_shared().ok().map(|()| folder)
}

fn is_entry(name: &str) -> bool {
    let digits = name.strip_prefix(ENTRY_PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_abandoned(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed
        .and_then(|changed| SystemTime::now().duration_since(changed).ok())
        .is_some_and(|age| age > ABANDONED_AFTER)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()), // another process has removed it
        removed => removed.map_err(StorageError::io(folder, "remove")),
    }
}
