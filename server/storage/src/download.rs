//! Downloads many objects concurrently into a temporary folder, and then renames the folder.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;

use crate::{
    Result, StorageError,
    bucket::BucketClient,
    object::{Fetched, Object},
    transfer,
};

/// Prefix of the names of temporary folders.
pub(crate) const PART: &str = ".part-";

/// Whether [`place`] moved the folder, or found that its destination already exists.
pub(crate) enum Placed {
    Now,
    Before,
}

/// Downloads objects concurrently into a new temporary folder below `parent`.
pub(crate) async fn objects(
    bucket: &BucketClient,
    objects: &[Object],
    parent: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(TempDir, Vec<Fetched>)> {
    let (folder, paths) = prepare(objects, parent)?;
    // collected first: the future of a lazy map over borrowed objects is not `Send`
    let transfers: Vec<_> =
        objects.iter().zip(&paths).map(|(object, path)| one(bucket, object, path, progress)).collect();
    let fetched = stream::iter(transfers).buffered(bucket.settings.concurrency).try_collect().await?;
    Ok((folder, fetched))
}

async fn one(
    bucket: &BucketClient,
    object: &Object,
    path: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Fetched> {
    let sha256 = transfer::receive(bucket, object, path, progress).await?;
    Ok(Fetched { object: object.clone(), sha256 })
}

/// Creates a temporary folder with the subfolders that the keys need. Returns it with the path of each object.
pub(crate) fn prepare(objects: &[Object], parent: &Path) -> Result<(TempDir, Vec<PathBuf>)> {
    fs::create_dir_all(parent).map_err(StorageError::io(parent, "create"))?;
    let folder = tempfile::Builder::new()
        .prefix(PART)
        .tempdir_in(parent)
        .map_err(StorageError::io(parent, "create a folder in"))?;
    let paths = objects
        .iter()
        .map(|object| {
            let path = folder.path().join(safe(&object.key)?);
            let above = self::parent(&path);
            fs::create_dir_all(above).map_err(StorageError::io(above, "create"))?;
            Ok(path)
        })
        .collect::<Result<_>>()?;
    Ok((folder, paths))
}

/// The key as a relative path. Fails if the path would lead out of its folder.
pub(crate) fn safe(key: &str) -> Result<&Path> {
    let path = Path::new(key);
    if !key.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    Err(StorageError::Setting {
        name: "object key".to_owned(),
        reason: format!("{key:?} leads out of its folder: rename the object"),
    })
}

/// Renames a finished temporary folder to its destination, and writes the rename to the disk, so that it survives a
/// power failure.
pub(crate) fn place(folder: TempDir, to: &Path) -> Result<Placed> {
    let readable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), readable).map_err(StorageError::io(folder.path(), "open"))?;
    sync(folder.path())?;
    match fs::rename(folder.path(), to) {
        Ok(()) => {
            // the renamed folder must not be deleted as a temporary one
            let _moved = folder.keep();
            sync(parent(to))?;
            Ok(Placed::Now)
        }
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
        {
            Ok(Placed::Before)
        }
        Err(error) => Err(StorageError::io(to, "create")(error)),
    }
}

/// Flushes the entries of a folder to the disk.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(StorageError::io(folder, "write"))
}

/// The folder that contains `path`; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
