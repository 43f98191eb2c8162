//! Many objects at once into a temporary folder, and its placement in one step.

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

/// What the names of temporary folders begin with.
pub(crate) const PART: &str = ".part-";

/// Whether [`place`] put the folder there, or found one already.
pub(crate) enum Placed {
    Now,
    Before,
}

/// Downloads objects side by side into a new temporary folder below `parent`.
pub(crate) async fn objects(
    bucket: &BucketClient,
    objects: &[Object],
    parent: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(TempDir, Vec<Fetched>)> {
    let (folder, paths) = prepare(objects, parent)?;
    // collected first: a lazy map over borrowed objects would not be `Send` for every lifetime
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

/// A temporary folder with every subfolder that the keys need, and each object's path in it.
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

/// A key as a path that stays in its folder.
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

/// Moves a finished temporary folder to its place in one step, and makes that survive a crash of the machine.
pub(crate) fn place(folder: TempDir, to: &Path) -> Result<Placed> {
    let readable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), readable).map_err(StorageError::io(folder.path(), "open"))?;
    sync(folder.path())?;
    match fs::rename(folder.path(), to) {
        Ok(()) => {
            // it is no temporary folder any more
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

/// Writes a folder's entries to the disk.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(StorageError::io(folder, "write"))
}

/// The folder that a path is in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
