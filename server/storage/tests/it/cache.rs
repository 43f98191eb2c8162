//! The cache downloads each set of objects only once, and never returns an incomplete one.

use storage::testkit::Minio;
use storage::{Cache, Store};
use tempfile::TempDir;

use crate::{
    names, noise,
    proxy::{Fault, Proxy},
};

#[tokio::test]
async fn a_restart_downloads_only_what_changed() {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    minio.put("models", "1/model.onnx", "first").await;
    minio.put("models", "1/data/weights", "w").await;
    let folder = TempDir::new().unwrap();
    let proxy = Proxy::start(&minio, vec![]).await;
    let store = Store::open(&proxy.location("models/1"), &minio.settings()).unwrap();
    let first = store.list().await.unwrap();
    let held = Cache::new(folder.path()).fetch(&store, &first).await.unwrap();
    let path = held.path().to_owned();
    assert_eq!(names(&path), ["data", "model.onnx"]);
    assert_eq!(std::fs::read_to_string(path.join("data/weights")).unwrap(), "w");

    // as after a restart, with a store whose connections deliver nothing
    let silent = Proxy::always(&minio, Fault::CutAfter(0)).await;
    let cut_off = Store::open(&silent.location("models/1"), &minio.settings()).unwrap();
    assert!(cut_off.list().await.is_err());
    let again = Store::open(store.location(), &minio.settings()).unwrap();
    let before = proxy.connections();
    assert_eq!(Cache::new(folder.path()).fetch(&again, &first).await.unwrap().path(), path);
    assert_eq!(proxy.connections(), before, "the store was asked for what is in the cache");
    assert!(
        Cache::new(folder.path()).fetch(&cut_off, &first).await.is_err(),
        "another place, the same entry"
    );

    minio.put("models", "1/model.onnx", "second").await;
    let held_second = Cache::new(folder.path()).fetch(&store, &store.list().await.unwrap()).await.unwrap();
    let second = held_second.path();
    assert_ne!(second, path);
    assert_eq!(std::fs::read_to_string(second.join("model.onnx")).unwrap(), "second");
    assert_eq!(std::fs::read_to_string(path.join("model.onnx")).unwrap(), "first");

    // the listing is old, so what arrives is newer than what was requested
    let cache = Cache::new(folder.path());
    assert_eq!(cache.fetch(&store, &first[..0]).await.unwrap().path().read_dir().unwrap().count(), 0);
    minio.put("models", "1/model.onnx", "third").await;
    drop((held, held_second));
    assert_eq!(cache.sweep().unwrap(), 3);
    let third = cache.fetch(&store, &first).await.unwrap();
    assert_ne!(third.path(), path);
    assert_eq!(std::fs::read_to_string(third.path().join("model.onnx")).unwrap(), "third");
}

#[tokio::test]
async fn what_nobody_holds_is_removed_and_nothing_else() {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    let folder = TempDir::new().unwrap();
    let store = Store::open(&minio.location("models"), &minio.settings()).unwrap();
    let (cache, other_process) = (Cache::new(folder.path()), Cache::new(folder.path()));
    assert_eq!(Cache::new(folder.path().join("never made")).sweep().unwrap(), 0);
    let mut held = Vec::new();
    for version in 1..4 {
        minio.put("models", "model.onnx", format!("version {version}")).await;
        held.push(cache.fetch(&store, &store.list().await.unwrap()).await.unwrap());
    }
    let also = other_process.fetch(&store, &store.list().await.unwrap()).await.unwrap();
    // Files of others in the same folder, with names that resemble those of the cache.
    for name in ["model-of-mine", "0123456789abcdef0123456789abcdef", ".part-abc"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("model-0123456789abcdef0123456789abcde");
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir_all(folder.path().join(".leaving-model-x/data")).unwrap();
    assert_eq!(cache.sweep().unwrap(), 0);
    assert!(!folder.path().join(".leaving-model-x").exists(), "half removed by a process that was killed");
    let paths: Vec<_> = held.iter().map(|held| held.path().to_owned()).collect();
    let mut open = std::fs::File::open(paths[0].join("model.onnx")).unwrap();
    held.remove(0);
    assert_eq!(other_process.sweep().unwrap(), 1);
    assert!(!paths[0].exists() && paths[1].exists() && paths[2].exists());
    assert_eq!(std::io::read_to_string(&mut open).unwrap(), "version 1", "who has it open keeps it");
    drop(held);
    assert_eq!(cache.sweep().unwrap(), 1, "the other process holds the last one still");
    assert!(also.path().exists());
    drop(also);
    assert_eq!(cache.sweep().unwrap(), 1);
    let left = [".part-abc", "0123456789abcdef0123456789abcdef", "model-0123456789abcdef0123456789abcde"];
    assert_eq!(names(folder.path()), [&left[..], &["model-of-mine"]].concat());
}

#[tokio::test]
async fn two_that_fetch_the_same_share_one_folder() {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    minio.put("models", "1/model.onnx", noise(1 << 20, 1)).await;
    let folder = TempDir::new().unwrap();
    let store = Store::open(&minio.location("models/1"), &minio.settings()).unwrap();
    let objects = store.list().await.unwrap();
    let (one, two) = (Cache::new(folder.path()), Cache::new(folder.path()));
    let (first, second) = tokio::join!(one.fetch(&store, &objects), two.fetch(&store, &objects));
    let (first, second) = (first.unwrap(), second.unwrap());
    let path = first.path();
    assert_eq!(path, second.path());
    assert_eq!(names(folder.path()), [path.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(std::fs::read(path.join("model.onnx")).unwrap(), noise(1 << 20, 1));
}
