//! `publish` to a folder and to a real MinIO, and `fetch` from a bucket.

use std::fs;
use std::process::Output;

use storage::Store;
use storage::testkit::Minio;
use tempfile::TempDir;

use crate::support::{succeed, text, trained, trainer};

#[test]
fn versions_count_up_in_a_folder_and_the_users_settings_are_kept() {
    let folder = TempDir::new().unwrap();
    let digits = folder.path().join("models/digits");
    let model = trained().join("out/model.onnx");
    let publish = || succeed(&["publish", "--model", text(&model), "--to", text(&digits)]);
    publish();
    let config = fs::read_to_string(digits.join("config.toml")).unwrap();
    assert!(config.starts_with("labels = [\"0\""));
    fs::write(digits.join("config.toml"), "max_batch_size = 8\n").unwrap();
    let said = String::from_utf8(publish().stdout).unwrap();
    assert!(said.contains("digits/2"), "{said}");
    assert_eq!(fs::read_to_string(digits.join("config.toml")).unwrap(), "max_batch_size = 8\n");
    for version in ["1", "2"] {
        assert_eq!(fs::read(digits.join(version).join("model.onnx")).unwrap(), fs::read(&model).unwrap());
        assert!(digits.join(version).join("metrics.json").is_file());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gets_the_model_its_settings_and_the_next_version() {
    let minio = Minio::start().await;
    minio.create_bucket("mlpipeline").await;
    let model = trained().join("out/model.onnx");
    let run = |arguments: &[&str]| -> Output {
        let output = trainer().args(arguments).envs(minio.variables()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let to = "s3://mlpipeline/models/digits";
    run(&["publish", "--model", text(&model), "--to", to]);
    run(&["publish", "--model", text(&model), "--to", to, "--version", "7"]);
    let last = run(&["publish", "--model", text(&model), "--to", to]);
    assert!(String::from_utf8_lossy(&last.stdout).contains("s3://mlpipeline/models/digits/8"));
    let store = Store::open(&minio.location("mlpipeline/models/digits"), &minio.settings()).unwrap();
    let keys: Vec<String> = store.list().await.unwrap().into_iter().map(|object| object.key).collect();
    let version = |v: &str| [format!("{v}/metrics.json"), format!("{v}/model.onnx")];
    let mut expected = [version("1"), version("7"), version("8")].concat();
    expected.push("config.toml".to_owned());
    assert_eq!(keys, expected);
    assert_eq!(store.read("8/model.onnx", 1 << 20).await.unwrap(), fs::read(&model).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_reads_a_bucket() {
    let minio = Minio::start().await;
    minio.create_bucket("data").await;
    let synth = trained().join("synth");
    for file in fs::read_dir(&synth).unwrap() {
        let path = file.unwrap().path();
        let key = format!("mnist/{}", path.file_name().unwrap().to_str().unwrap());
        minio.put("data", &key, fs::read(&path).unwrap()).await;
    }
    let out = TempDir::new().unwrap();
    let arguments = ["fetch", "--from", "s3://data/mnist", "--out", text(out.path())];
    let output = trainer().args(arguments).envs(minio.variables()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in fs::read_dir(&synth).unwrap() {
        let path = file.unwrap().path();
        let fetched = out.path().join(path.file_name().unwrap());
        assert_eq!(fs::read(path).unwrap(), fs::read(fetched).unwrap());
    }
}

#[test]
fn an_unreachable_store_gives_one_clear_line() {
    let model = trained().join("out/model.onnx");
    let port = storage::testkit::free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let output = trainer()
        .args(["publish", "--model", text(&model), "--to", "s3://models/digits"])
        .env("AWS_ENDPOINT_URL", &endpoint)
        .envs([("AWS_ACCESS_KEY_ID", "minio"), ("AWS_SECRET_ACCESS_KEY", "minio123")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&port.to_string()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
