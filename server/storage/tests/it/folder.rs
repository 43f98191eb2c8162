//! The operations of a store on folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bytes::Bytes;
use storage::{Cache, Location, Settings, StorageError, Store};
use tempfile::TempDir;

use crate::{keys, names, quiet};

fn store(path: &Path) -> Store {
    let settings = Settings::from_env(&|_| None).unwrap();
    Store::open(&Location::Folder(path.to_owned()), &settings).unwrap()
}

/// A folder as `KServe` mounts models: hidden folders, and links into them.
fn mounted() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir_all(root.path().join("..2026/digits/1")).unwrap();
    fs::write(root.path().join("..2026/digits/1/model.onnx"), "model").unwrap();
    fs::write(root.path().join("..2026/digits/config.toml"), "x").unwrap();
    symlink("..2026", root.path().join("..data")).unwrap();
    symlink("..data/digits", root.path().join("digits")).unwrap();
    symlink("gone", root.path().join("dangling")).unwrap();
    root
}

#[tokio::test]
async fn listings_follow_links_and_leave_out_what_is_hidden() {
    let root = mounted();
    let store = store(root.path());
    let objects = store.list().await.unwrap();
    assert_eq!(keys(&objects), ["digits/1/model.onnx", "digits/config.toml"]);
    assert_eq!(objects[0].size, 5);
    assert_eq!(store.read("digits/config.toml", 1).await.unwrap(), "x");
    assert!(matches!(
        store.read("digits/1/model.onnx", 4).await,
        Err(StorageError::TooLarge { size: 5, .. })
    ));
    assert!(matches!(store.read("none", 4).await, Err(StorageError::NotFound { .. })));

    let file = store.below("digits/1/model.onnx");
    assert_eq!(keys(&file.list().await.unwrap()), ["model.onnx"]);

    symlink(root.path(), root.path().join("..2026/circle")).unwrap();
    symlink("..data/circle", root.path().join("circle")).unwrap();
    assert!(store.list().await.unwrap().len() > 2, "a circle of links ends");
}

#[tokio::test]
async fn what_changes_shows_in_the_listing() {
    let root = mounted();
    let store = store(root.path());
    let before = store.list().await.unwrap();
    assert_eq!(before, store.list().await.unwrap());
    fs::write(root.path().join("digits/1/model.onnx"), "other model").unwrap();
    let after = store.list().await.unwrap();
    assert_ne!(before[0].etag, after[0].etag);
    assert_eq!(before[1], after[1]);
}

#[tokio::test]
async fn nothing_there_is_an_error() {
    let root = TempDir::new().unwrap();
    for (path, what) in [
        (root.path().to_owned(), "the folder is empty"),
        (root.path().join("none"), "no such folder: check the address"),
    ] {
        let error = store(&path).list().await.unwrap_err();
        assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("{}: {what}", path.display()));
    }
    assert!(store(root.path()).look().await.unwrap().objects.is_empty());
}

#[tokio::test]
async fn a_folder_is_served_in_place_and_can_be_copied() {
    let root = mounted();
    let store = store(root.path());
    let objects = store.list().await.unwrap();
    let cache = Cache::new(root.path().join("never made"));
    assert_eq!(cache.fetch(&store, &objects).await.unwrap().path(), root.path());
    assert_eq!(store.local_path(), Some(root.path()));

    let folder = TempDir::new().unwrap();
    let to = folder.path().join("copy");
    store.download(&objects, &to, &quiet).await.unwrap();
    assert_eq!(fs::read_to_string(to.join("digits/1/model.onnx")).unwrap(), "model");
    assert!(matches!(store.download(&objects, &to, &quiet).await, Err(StorageError::Exists { .. })));

    for key in ["../out", "/etc/out", "a/../../out", ""] {
        let mut hostile = objects[..1].to_vec();
        key.clone_into(&mut hostile[0].key);
        let error = store.download(&hostile, &folder.path().join("hostile"), &quiet).await.unwrap_err();
        assert!(error.to_string().contains("leads out of its folder"), "{error}");
    }
    assert_eq!(names(folder.path()), ["copy"]);
}

#[tokio::test]
async fn a_version_is_published_whole_and_once() {
    let root = TempDir::new().unwrap();
    let digits = store(&root.path().join("models/digits"));
    assert_eq!(digits.next_version().await.unwrap(), 1);
    let files = [("model.onnx", Bytes::from_static(b"model")), ("metrics.json", Bytes::from_static(b"{}"))];
    digits.publish("1", &files).await.unwrap();
    let folder = root.path().join("models/digits");
    assert_eq!(names(&folder.join("1")), ["metrics.json", "model.onnx"]);
    assert_eq!(fs::read_to_string(folder.join("1/model.onnx")).unwrap(), "model");

    let error = digits.publish("1", &files[..1]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}/1 exists already and is never overwritten: choose another version", folder.display())
    );
    assert_eq!(names(&folder), ["1"]);

    digits.create("config.toml", Bytes::from_static(b"x")).await.unwrap();
    digits.create("config.toml", Bytes::from_static(b"x")).await.expect("the same again");
    let error = digits.create("config.toml", Bytes::from_static(b"y")).await.unwrap_err();
    assert!(error.to_string().contains("digits/config.toml exists already"), "{error}");
    assert_eq!(digits.read("config.toml", 9).await.unwrap(), "x");
    assert_eq!(names(&folder), ["1", "config.toml"]);
    assert_eq!(digits.next_version().await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_put_replaces_what_was_there_and_stays_below_the_store() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("place");
    let store = store(&place);
    for content in ["one", "two"] {
        store.put("7/picture.png", Bytes::from(content)).await.unwrap();
        assert_eq!(store.read("7/picture.png", 9).await.unwrap(), content);
    }
    assert_eq!(names(&place.join("7")), ["picture.png"]);
    for key in ["../out", "/out", "7/../../out", "", "..", "."] {
        assert!(matches!(store.put(key, Bytes::new()).await, Err(StorageError::Setting { .. })), "{key}");
    }
    assert_eq!(names(root.path()), ["place"]);
    fs::write(root.path().join("file"), "").unwrap();
    let error = self::store(&root.path().join("file")).put("7/picture.png", Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("cannot create"), "{error}");
}
