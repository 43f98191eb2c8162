//! Listing, reading, downloading and publishing in a bucket.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storage::testkit::Minio;
use storage::{Location, StorageError, Store};
use tempfile::TempDir;

use crate::{keys, names, noise, quiet};

async fn minio_with_bucket() -> Minio {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    minio
}

fn store(minio: &Minio, path: &str) -> Store {
    Store::open(&minio.location(path), &minio.settings()).unwrap()
}

#[tokio::test]
async fn a_published_version_comes_back_as_it_was() {
    let minio = minio_with_bucket().await;
    let digits = store(&minio, "models/models/digits");
    assert_eq!(digits.next_version().await.unwrap(), 1);
    let model = noise(3 << 20, 1);
    let files =
        [("model.onnx", model.clone()), ("metrics.json", Bytes::from_static(b"{}")), ("empty", Bytes::new())];
    digits.publish("1", &files).await.unwrap();
    assert_eq!(digits.next_version().await.unwrap(), 2);

    // an endpoint in the address and one in the environment mean the same
    let by_settings: Location = "s3://models/models/".parse().unwrap();
    let repository = Store::open(&by_settings, &minio.settings()).unwrap();
    let objects = repository.list().await.unwrap();
    assert_eq!(keys(&objects), ["digits/1/empty", "digits/1/metrics.json", "digits/1/model.onnx"]);
    assert_eq!(objects.iter().map(|object| object.size).collect::<Vec<_>>(), [0, 2, 3 << 20]);
    assert_eq!(repository.read("digits/1/metrics.json", 100).await.unwrap(), "{}");

    let version = repository.below("digits/1");
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("digits-1");
    let objects = version.list().await.unwrap();
    let fetched = version.download(&objects, &to, &quiet).await.unwrap();
    assert_eq!(names(&to), ["empty", "metrics.json", "model.onnx"]);
    assert_eq!(std::fs::read(to.join("model.onnx")).unwrap(), model);
    assert_eq!(fetched[0].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(fetched.into_iter().map(|fetched| fetched.object).collect::<Vec<_>>(), objects);
    assert_eq!(names(folder.path()), ["digits-1"]);

    // an address may be the key of an object
    let object = repository.below("digits/1/model.onnx").list().await.unwrap();
    assert_eq!((keys(&object), object[0].size), (vec!["model.onnx"], 3 << 20));
}

#[tokio::test]
async fn a_version_is_never_overwritten() {
    let minio = minio_with_bucket().await;
    let digits = store(&minio, "models/digits");
    let first = [("model.onnx", Bytes::from_static(b"first")), ("metrics.json", Bytes::from_static(b"1"))];
    digits.publish("1", &first).await.unwrap();
    digits.publish("1", &first).await.expect("the same again is what a repeated request does");

    let second = [("model.onnx", Bytes::from_static(b"second")), ("metrics.json", Bytes::from_static(b"2"))];
    let error = digits.publish("1", &second).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "s3://{}/models/digits/1/model.onnx exists already and is never overwritten: choose another version",
            minio.endpoint()
        )
    );
    assert_eq!(digits.read("1/model.onnx", 100).await.unwrap(), "first");
    assert_eq!(digits.read("1/metrics.json", 100).await.unwrap(), "1");

    digits.create("config.toml", Bytes::from_static(b"x")).await.unwrap();
    let error = digits.create("config.toml", Bytes::from_static(b"y")).await.unwrap_err();
    assert!(error.to_string().contains("digits/config.toml exists already"), "{error}");
    assert_eq!(digits.read("config.toml", 9).await.unwrap(), "x");

    // an incomplete version is ignored, but its number is taken
    minio.put("models", "digits/2/metrics.json", "left over").await;
    assert!(matches!(digits.publish("2", &second).await, Err(StorageError::Exists { .. })));
    assert!(matches!(digits.read("2/model.onnx", 100).await, Err(StorageError::NotFound { .. })));
    assert_eq!(digits.next_version().await.unwrap(), 3);

    for name in ["", "..", "a/b", ".hidden"] {
        assert!(digits.publish(name, &first).await.is_err(), "{name:?} was taken for a version");
    }
}

#[tokio::test]
async fn listings_have_every_page_and_only_this_prefix() {
    let minio = minio_with_bucket().await;
    let client = minio.client();
    stream::iter(0..1_003)
        .for_each_concurrent(16, |n| {
            let request = client.put_object().bucket("models").key(format!("digits/{n:04}"));
            async { drop(Box::pin(request.send()).await.unwrap()) }
        })
        .await;
    minio.put("models", "digits-old/1/model.onnx", "other").await;
    minio.put("models", "digits/folder/", "").await;

    let objects = store(&minio, "models/digits").list().await.unwrap();
    assert_eq!(objects.len(), 1_003);
    assert_eq!((objects[0].key.as_str(), objects[1_002].key.as_str()), ("0000", "1002"));
    assert_eq!(store(&minio, "models").list().await.unwrap().len(), 1_004);
}

#[tokio::test]
async fn nothing_there_is_an_error_and_limits_hold() {
    let minio = minio_with_bucket().await;
    let root = format!("s3://{}/models", minio.endpoint());
    let error = store(&minio, "models/none").list().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{root}/none: nothing is there: check the address"));
    let error = store(&minio, "models").list().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{root}: nothing is there: check the address"));
    let error = store(&minio, "models").read("config.toml", 10).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{root}/config.toml: no such object: check the address"));

    minio.put("models", "config.toml", "0123456789").await;
    assert_eq!(store(&minio, "models").read("config.toml", 10).await.unwrap(), "0123456789");
    let error = store(&minio, "models").read("config.toml", 9).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{root}/config.toml: 10 bytes, but at most 9 are read here"));
}

#[tokio::test]
async fn content_is_checked_against_what_was_published_and_expected() {
    let minio = minio_with_bucket().await;
    let request = minio.client().put_object().bucket("models").key("1/model.onnx").metadata("sha256", "00ff");
    Box::pin(request.body(Bytes::from_static(b"tampered").into()).send()).await.unwrap();
    let store = store(&minio, "models/1");
    let objects = store.list().await.unwrap();
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("model");
    let error = store.download(&objects, &to, &quiet).await.unwrap_err();
    assert!(error.to_string().contains("but 00ff was expected"), "{error}");
    assert!(!error.is_transient());
    assert!(names(folder.path()).is_empty(), "a download that failed left something");

    let mut objects = objects;
    objects[0].sha256 = Some("11ee".to_owned());
    let error = store.download(&objects, &to, &quiet).await.unwrap_err();
    assert!(error.to_string().contains("but 11ee was expected"), "{error}");
}

#[tokio::test]
async fn what_is_put_into_a_bucket_replaces_what_was_there() {
    let mut minio = minio_with_bucket().await;
    let store = store(&minio, "models/feedback");
    for content in ["one", "two"] {
        store.put("7/picture.png", Bytes::from(content)).await.unwrap();
        assert_eq!(store.read("7/picture.png", 9).await.unwrap(), content);
    }
    assert!(matches!(store.put("../out", Bytes::new()).await, Err(StorageError::Setting { .. })));
    assert_eq!(keys(&store.list().await.unwrap()), ["7/picture.png"]);
    minio.stop().await;
    assert!(store.put("7/other.png", Bytes::new()).await.unwrap_err().is_transient());
}
