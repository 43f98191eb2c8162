//! What was downloaded once is not downloaded again, and never half there.

use storage::testkit::Minio;
use storage::{Cache, Store};
use tempfile::TempDir;

use crate::proxy::{Fault, Proxy};
use crate::{names, noise};

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
    let path = Cache::new(folder.path()).fetch(&store, &first).await.unwrap();
    assert_eq!(names(&path), ["data", "model.onnx"]);
    assert_eq!(std::fs::read_to_string(path.join("data/weights")).unwrap(), "w");

    // a new process, and a store whose connections give nothing
    let silent = Proxy::always(&minio, Fault::CutAfter(0)).await;
    let cut_off = Store::open(&silent.location("models/1"), &minio.settings()).unwrap();
    assert!(cut_off.list().await.is_err());
    let again = Store::open(store.location(), &minio.settings()).unwrap();
    let before = proxy.connections();
    assert_eq!(Cache::new(folder.path()).fetch(&again, &first).await.unwrap(), path);
    assert_eq!(proxy.connections(), before, "the store was asked for what is in the cache");
    assert!(
        Cache::new(folder.path()).fetch(&cut_off, &first).await.is_err(),
        "another place, the same entry"
    );

    minio.put("models", "1/model.onnx", "second").await;
    let second = Cache::new(folder.path()).fetch(&store, &store.list().await.unwrap()).await.unwrap();
    assert_ne!(second, path);
    assert_eq!(std::fs::read_to_string(second.join("model.onnx")).unwrap(), "second");
    assert_eq!(std::fs::read_to_string(path.join("model.onnx")).unwrap(), "first");

    // asked for by an old listing, kept as what came
    let cache = Cache::new(folder.path());
    cache.evict(&second).unwrap();
    assert_eq!(cache.fetch(&store, &first[..0]).await.unwrap().read_dir().unwrap().count(), 0);
    minio.put("models", "1/model.onnx", "third").await;
    cache.evict(&path).unwrap();
    let third = cache.fetch(&store, &first).await.unwrap();
    assert_ne!(third, path);
    assert_eq!(std::fs::read_to_string(third.join("model.onnx")).unwrap(), "third");
    cache.evict(std::path::Path::new("/nowhere/near")).unwrap();
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
    let path = first.unwrap();
    assert_eq!(path, second.unwrap());
    assert_eq!(names(folder.path()), [path.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(std::fs::read(path.join("model.onnx")).unwrap(), noise(1 << 20, 1));
}
