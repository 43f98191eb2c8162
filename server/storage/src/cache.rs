//! Downloaded objects that outlive a restart.

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

/// What the names of subfolders begin with, before 32 hexadecimal digits: nothing else is ever removed.
const ENTRY: &str = "model-";
const DIGITS: usize = 32;

/// What a subfolder is called while it is removed.
const LEAVING: &str = ".leaving-";

/// A download that has not grown for so long was left behind by a process that is gone.
const ABANDONED: Duration = Duration::from_hours(24);

/// How often a folder that another process removes under our hands is downloaded again.
const TRIES: usize = 3;

/// A folder of downloads, one subfolder for each set of objects that was ever asked for.
///
/// A subfolder is named by the store's location and its objects' keys, sizes and `ETag`s, and appears by a
/// rename when it is complete. So what is there is whole and current, a restart downloads nothing that did not
/// change, and processes may share the folder: of two that download the same, one placement wins, and what one
/// of them holds no other removes.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A folder with objects, which [`Cache::sweep`] leaves alone for as long as this value lives.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// Shared with all who hold the same subfolder; `None` for a folder that is not the cache's own.
    _lock: Option<File>,
}

impl Held {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Cache {
    /// A cache in a folder, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder with these objects of the store, each at its key: downloaded, or found here, or (for a store
    /// that is itself a folder) the store's own.
    ///
    /// Objects that carry a SHA-256 are cached under it as well, so that they are checked at least once.
    ///
    /// # Errors
    /// As [`Store::download`].
    pub async fn fetch(&self, store: &Store, objects: &[Object]) -> Result<Held> {
        if let Some(path) = store.local_path() {
            let path = if path.is_file() { download::parent(path) } else { path };
            return Ok(Held { path: path.to_owned(), _lock: None });
        }
        if let Some(held) = self.entry(store, objects).and_then(hold) {
            tracing::debug!(location = %store.location(), folder = %held.path.display(), "already downloaded");
            return Ok(held);
        }
        for _ in 1..TRIES {
            if let Some(held) = self.download(store, objects).await? {
                return Ok(held);
            }
        }
        self.download(store, objects).await?.ok_or_else(|| {
            let source = io::Error::other("another process removes what is downloaded to it");
            StorageError::io(&self.root, "keep a model in")(source)
        })
    }

    /// Downloads into a subfolder; `None` where one was there already and has gone meanwhile.
    async fn download(&self, store: &Store, objects: &[Object]) -> Result<Option<Held>> {
        let (folder, fetched) = store.fetch(objects, &self.root, &|_| ()).await?;
        // named by what arrived, which may be newer than what was asked for
        let arrived: Vec<_> = fetched.into_iter().map(|fetched| fetched.object).collect();
        let entry = self.entry(store, &arrived).unwrap_or_else(|| self.unique(&folder));
        let lock = share(folder.path());
        Ok(match download::place(folder, &entry)? {
            Placed::Now => Some(Held { path: entry, _lock: lock }),
            Placed::Before => hold(entry),
        })
    }

    /// Removes every subfolder that nobody holds, in this process or another, and downloads that were never finished.
    /// Whoever has files of such a folder open keeps them. Returns how many subfolders it removed.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the disk refuses.
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
            } else if name.starts_with(LEAVING) || (name.starts_with(PART) && is_abandoned(&path)) {
                remove(&path)?;
            }
        }
        Ok(removed)
    }

    /// Removes a subfolder unless somebody holds it.
    fn evict(&self, path: &Path, name: &str) -> Result<bool> {
        let Ok(folder) = File::open(path) else { return Ok(false) }; // gone already
        match folder.try_lock() {
            Ok(()) => {}
            // where the file system has no locks, nobody can tell
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return Ok(false),
        }
        // It goes in one step, so that nobody finds half of it.
        let leaving = self.root.join(format!("{LEAVING}{name}"));
        match fs::rename(path, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed.map_err(StorageError::io(path, "remove"))?,
        }
        remove(&leaving)?;
        Ok(true)
    }

    /// Where these objects are kept; `None` where one has no `ETag` to recognise it by.
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
        self.root.join(format!("{ENTRY}{}", &hex(&hasher.finalize())[..DIGITS]))
    }
}

/// Holds a subfolder, if it is there.
fn hold(path: PathBuf) -> Option<Held> {
    let lock = share(&path);
    // It may have been removed before it was held, and another put in its place.
    let there = fs::metadata(&path).ok().filter(fs::Metadata::is_dir)?;
    let is_same = |lock: &File| lock.metadata().is_ok_and(|held| held.ino() == there.ino());
    lock.as_ref().is_none_or(is_same).then_some(Held { path, _lock: lock })
}

/// A shared lock on a folder. `None` where the file system has no locks: nothing is removed there.
fn share(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.try_lock_shared().ok().map(|()| folder)
}

fn is_entry(name: &str) -> bool {
    let digits = name.strip_prefix(ENTRY).unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_abandoned(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed
        .and_then(|changed| SystemTime::now().duration_since(changed).ok())
        .is_some_and(|age| age > ABANDONED)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()), // another process was quicker
        removed => removed.map_err(StorageError::io(folder, "remove")),
    }
}
