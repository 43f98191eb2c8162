//! The operations of a store on a local folder.

use std::fs::{Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Result, StorageError,
    download::{self, Placed},
    object::{Fetched, Listing, Object, Unreadable},
    transfer::hex,
};

/// Deepest nesting of folders that is listed. No model repository needs more, and the limit ends circles of symbolic
/// links.
const DEPTH: usize = 16;

/// Bytes read at a time when a file is copied.
const CHUNK_BYTES: usize = 1 << 20;

/// Lists every file below a folder, except hidden ones. If `root` is a file, the list is that file.
///
/// A subfolder that this user may not read is skipped and reported in the listing. `lost+found` is one; every new ext4
/// volume has it.
pub(crate) async fn list(root: &Path) -> Result<Listing> {
    let metadata = match fs::metadata(root).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (address, what) = (root.display().to_string(), "no such folder: check the address");
            return Err(StorageError::NotFound { address, what });
        }
        metadata => metadata.map_err(StorageError::io(root, "read"))?,
    };
    let mut listing = Listing::default();
    if metadata.is_file() {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        listing.objects.push(object(name, &metadata));
        return Ok(listing);
    }
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let mut entries = match fs::read_dir(&folder).await {
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue, // removed meanwhile
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::PermissionDenied => {
                listing.unreadable.push(Unreadable::new(&prefix, error));
                continue;
            }
            entries => entries.map_err(StorageError::io(&folder, "read"))?,
        };
        while let Some(entry) = entries.next_entry().await.map_err(StorageError::io(&folder, "read"))? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let key = format!("{prefix}{name}");
            // `metadata` follows links, which mounted config maps and modelcars consist of; a dangling link is not an
            // object
            let metadata = match fs::metadata(entry.path()).await {
                Ok(metadata) => metadata,
                Err(error) if depth > 0 && error.kind() == io::ErrorKind::PermissionDenied => {
                    // the user may list this folder but not open what is in it
                    listing.unreadable.push(Unreadable::new(&prefix, error));
                    break;
                }
                Err(_) => continue,
            };
            if metadata.is_file() {
                listing.objects.push(object(key, &metadata));
            } else if metadata.is_dir() && depth < DEPTH {
                folders.push((entry.path(), format!("{key}/"), depth + 1));
            }
        }
    }
    Ok(listing)
}

fn object(key: String, metadata: &Metadata) -> Object {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let etag = changed.map(|time| format!("{:x}-{:x}", metadata.len(), time.as_nanos()));
    Object { key, size: metadata.len(), etag, sha256: None, full_key: String::new() }
}

/// Reads one file of at most `limit` bytes.
pub(crate) async fn read(path: &Path, limit: u64) -> Result<Bytes> {
    let address = path.display().to_string();
    let file = match File::open(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StorageError::NotFound { address, what: "no such file: check the address" });
        }
        file => file.map_err(StorageError::io(path, "read"))?,
    };
    let size = file.metadata().await.map_err(StorageError::io(path, "read"))?.len();
    if size > limit {
        return Err(StorageError::TooLarge { address, size, limit });
    }
    let mut content = Vec::new();
    // the file may grow while it is read
    file.take(limit).read_to_end(&mut content).await.map_err(StorageError::io(path, "read"))?;
    Ok(content.into())
}

/// Copies files into a new temporary folder below `parent`.
pub(crate) async fn copy(
    root: &Path,
    objects: &[Object],
    parent: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(TempDir, Vec<Fetched>)> {
    let (folder, paths) = download::prepare(objects, parent)?;
    let is_file = fs::metadata(root).await.is_ok_and(|metadata| metadata.is_file());
    let mut fetched = Vec::with_capacity(objects.len());
    for (object, to) in objects.iter().zip(&paths) {
        let from = if is_file { root.to_owned() } else { root.join(&object.key) };
        let sha256 = copy_file(object, &from, to, progress).await?;
        fetched.push(Fetched { object: object.clone(), sha256 });
    }
    Ok((folder, fetched))
}

async fn copy_file(
    object: &Object,
    from: &PathBuf,
    to: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<String> {
    let mut source = File::open(from).await.map_err(StorageError::io(from, "read"))?;
    let mut target = File::create(to).await.map_err(StorageError::io(to, "create"))?;
    let (mut hasher, mut received, mut piece) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let count = source.read(&mut piece).await.map_err(StorageError::io(from, "read"))?;
        if count == 0 {
            break;
        }
        target.write_all(&piece[..count]).await.map_err(StorageError::io(to, "write"))?;
        hasher.update(&piece[..count]);
        received += count as u64;
        progress(count as u64);
    }
    target.sync_all().await.map_err(StorageError::io(to, "write"))?;
    let address = || from.display().to_string();
    if received != object.size {
        return Err(StorageError::Changed { address: address() });
    }
    let actual = hex(&hasher.finalize());
    match &object.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&actual) => {
            Err(StorageError::Checksum { address: address(), expected: expected.clone(), actual })
        }
        _ => Ok(actual),
    }
}

/// Writes a new file. It appears complete or not at all.
pub(crate) async fn create(path: &Path, content: &Bytes) -> Result<()> {
    let (folder, _) = download::prepare(&[], download::parent(path))?;
    let temporary = folder.path().join("content");
    write(&temporary, content).await?;
    // a hard link never replaces an existing file, a rename does
    match fs::hard_link(&temporary, path).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::read(path).await {
            Ok(present) if present == *content => Ok(()),
            _ => Err(StorageError::Exists { address: path.display().to_string() }),
        },
        linked => linked.map_err(StorageError::io(path, "create")),
    }
}

/// Writes a file and replaces an existing one. A concurrent reader sees either the old or the new content.
pub(crate) async fn put(root: &Path, key: &str, content: Bytes) -> Result<()> {
    let path = root.join(download::safe(key)?);
    let told = path.clone();
    // file operations block, so they run on a blocking thread
    let written = tokio::task::spawn_blocking(move || replace(&path, &content)).await;
    written.unwrap_or_else(|error| Err(StorageError::io(&told, "write")(io::Error::other(error))))
}

fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = download::parent(path);
    std::fs::create_dir_all(folder).map_err(StorageError::io(folder, "create"))?;
    let mut file = tempfile::Builder::new()
        .prefix(download::PART)
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(StorageError::io(folder, "create a file in"))?;
    file.write_all(content).map_err(StorageError::io(path, "write"))?;
    file.as_file().sync_all().map_err(StorageError::io(path, "write"))?;
    file.persist(path).map_err(|error| StorageError::io(path, "create")(error.error))?;
    download::sync(folder)
}

async fn write(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create(path).await.map_err(StorageError::io(path, "create"))?;
    file.write_all(content).await.map_err(StorageError::io(path, "write"))?;
    file.sync_all().await.map_err(StorageError::io(path, "write"))
}

/// Writes files into a temporary folder, and then renames the folder to `version`.
pub(crate) async fn publish(version: &Path, files: &[(&str, Bytes)]) -> Result<()> {
    let exists = || StorageError::Exists { address: version.display().to_string() };
    if fs::try_exists(version).await.unwrap_or(false) {
        return Err(exists());
    }
    let (folder, _) = download::prepare(&[], download::parent(version))?;
    for (name, content) in files {
        write(&folder.path().join(name), content).await?;
    }
    match download::place(folder, version)? {
        Placed::Now => Ok(()),
        Placed::Before => Err(exists()),
    }
}
