//! Lost connections, stopped servers and changed objects: the download is complete and correct, or there is one clear
//! error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use storage::testkit::Minio;
use storage::{Object, Settings, StorageError, Store};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{
    names, noise,
    proxy::{Fault, Proxy},
    quiet,
};

const MIB: usize = 1 << 20;

struct Setting {
    minio: Minio,
    objects: Vec<Object>,
    folder: TempDir,
}

/// A MinIO server with one object of random bytes, and its listing.
async fn with_object(size: usize) -> Setting {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    minio.put("models", "digits/1/model.onnx", noise(size, 1)).await;
    let store = store_of(&minio);
    Setting { objects: store.list().await.unwrap(), minio, folder: TempDir::new().unwrap() }
}

fn store_of(minio: &Minio) -> Store {
    Store::open(&minio.location("models/digits/1"), &minio.settings()).unwrap()
}

#[tokio::test]
async fn a_cut_or_stalled_body_is_resumed() {
    let Setting { minio, objects, folder } = with_object(4 * MIB).await;
    let faults = vec![Fault::CutAfter(MIB), Fault::StallAfter(MIB), Fault::CutAfter(MIB)];
    let proxy = Proxy::start(&minio, faults).await;
    let settings = Settings { read_timeout: Duration::from_secs(1), ..minio.settings() };
    let store = Store::open(&proxy.location("models/digits/1"), &settings).unwrap();
    let to = folder.path().join("model");
    let bytes = AtomicU64::new(0);
    let count = |n| {
        bytes.fetch_add(n, Ordering::SeqCst);
    };
    store.download(&objects, &to, &count).await.unwrap();
    assert_eq!(std::fs::read(to.join("model.onnx")).unwrap(), noise(4 * MIB, 1));
    assert_eq!(bytes.into_inner(), 4 * MIB as u64, "bytes were read twice");
    assert_eq!(proxy.connections(), 4);
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let Setting { minio, objects, folder } = with_object(4 * MIB).await;
    // the headers of the response arrive, the body does not
    let proxy = Proxy::always(&minio, Fault::CutAfter(900)).await;
    let store = Store::open(&proxy.location("models/digits/1"), &minio.settings()).unwrap();
    let error = store.download(&objects, &folder.path().join("model"), &quiet).await.unwrap_err();
    let StorageError::Cut { size, attempts, .. } = error else { panic!("not a cut body: {error}") };
    assert_eq!((size, attempts), (4 * MIB as u64, 3));
    assert!(error.is_transient());
    assert!(names(folder.path()).is_empty(), "half a download was left");
}

#[tokio::test]
async fn everything_ends_at_the_deadline() {
    let Setting { minio, objects, folder } = with_object(4 * MIB).await;
    let proxy = Proxy::always(&minio, Fault::StallAfter(MIB)).await;
    let settings = Settings { deadline: Duration::from_secs(1), ..minio.settings() };
    let store = Store::open(&proxy.location("models/digits/1"), &settings).unwrap();
    let error = store.download(&objects, &folder.path().join("model"), &quiet).await.unwrap_err();
    assert!(error.to_string().contains("not done within 1 s"), "{error}");
    assert!(names(folder.path()).is_empty(), "half a download was left");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_and_comes_back_is_waited_for() {
    let Setting { mut minio, objects, folder } = with_object(96 * MIB).await;
    let settings = Settings { attempts: 20, ..minio.settings() };
    let store = Store::open(&minio.location("models/digits/1"), &settings).unwrap();
    let to = folder.path().join("model");
    let begun = Arc::new(Notify::new());
    let download = tokio::spawn({
        let (to, begun) = (to.clone(), begun.clone());
        async move { store.download(&objects, &to, &|_| begun.notify_one()).await }
    });
    begun.notified().await;
    minio.stop().await;
    assert!(!to.exists());
    minio.start_again().await;
    download.await.unwrap().unwrap();
    assert_eq!(std::fs::read(to.join("model.onnx")).unwrap(), noise(96 * MIB, 1));
}

#[tokio::test]
async fn a_server_that_is_down_at_first_serves_later() {
    let Setting { mut minio, objects, .. } = with_object(10).await;
    let store = store_of(&minio);
    minio.stop().await;
    let error = store.list().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains(&minio.endpoint()), "{error}");
    minio.start_again().await;
    assert_eq!(store.list().await.unwrap(), objects);
}

#[tokio::test]
async fn an_object_replaced_after_the_listing_comes_in_its_new_form() {
    let Setting { minio, objects, folder } = with_object(4 * MIB).await;
    let store = store_of(&minio);
    minio.put("models", "digits/1/model.onnx", noise(MIB, 2)).await;
    let to = folder.path().join("model");
    let fetched = store.download(&objects, &to, &quiet).await.unwrap();
    assert_eq!(std::fs::read(to.join("model.onnx")).unwrap(), noise(MIB, 2));
    assert_eq!(fetched[0].object.size, MIB as u64);
    assert_ne!(fetched[0].object.etag, objects[0].etag);
}

#[tokio::test]
async fn an_object_replaced_between_two_pieces_is_not_mixed() {
    let Setting { minio, objects, folder } = with_object(4 * MIB).await;
    let minio = Arc::new(minio);
    let (publisher, gets) = (minio.clone(), Arc::new(AtomicU64::new(0)));
    // the object is replaced by one of the same size when it is requested for the second time
    let replacing = Proxy::before_get(&minio, move || {
        let (publisher, gets) = (publisher.clone(), gets.clone());
        async move {
            if gets.fetch_add(1, Ordering::SeqCst) == 1 {
                publisher.put("models", "digits/1/model.onnx", noise(4 * MIB, 2)).await;
            }
        }
    })
    .await;
    let cutting = Proxy::to(&replacing, vec![Fault::CutAfter(MIB)]).await;
    let store = Store::open(&cutting.location("models/digits/1"), &minio.settings()).unwrap();
    let to = folder.path().join("model");
    store.download(&objects, &to, &quiet).await.unwrap();
    assert_eq!(std::fs::read(to.join("model.onnx")).unwrap(), noise(4 * MIB, 2));
}

#[tokio::test]
async fn an_object_that_changes_all_the_time_is_refused() {
    let Setting { minio, objects, folder } = with_object(10).await;
    let minio = Arc::new(minio);
    let (publisher, changes) = (minio.clone(), Arc::new(AtomicU64::new(2)));
    let proxy = Proxy::before_get(&minio, move || {
        let (publisher, seed) = (publisher.clone(), changes.fetch_add(1, Ordering::SeqCst));
        async move { publisher.put("models", "digits/1/model.onnx", noise(10, seed)).await }
    })
    .await;
    let store = Store::open(&proxy.location("models/digits/1"), &minio.settings()).unwrap();
    let error = store.download(&objects, &folder.path().join("model"), &quiet).await.unwrap_err();
    assert!(matches!(error, StorageError::Changed { .. }), "{error}");
    assert!(
        error.to_string().contains("digits/1/model.onnx: the object changed while it was read"),
        "{error}"
    );
    assert!(names(folder.path()).is_empty(), "half a download was left");

    // an object that was deleted is named in the error
    Box::pin(minio.client().delete_object().bucket("models").key("digits/1/model.onnx").send())
        .await
        .unwrap();
    let error = store_of(&minio).download(&objects, &folder.path().join("model"), &quiet).await.unwrap_err();
    assert!(error.to_string().contains("digits/1/model.onnx: no such object"), "{error}");
}
