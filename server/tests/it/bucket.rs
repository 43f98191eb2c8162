//! Models in a bucket of a real MinIO: found, waited for, and never half loaded.

use std::{fs, net::TcpListener};

use oip::Datatype;
use serde_json::json;
use storage::{Store, testkit::Minio};
use tokio::runtime::Runtime;

use crate::{
    model_control::{infer, load, under_traffic, unload, versions},
    support::{ServerBuilder, eventually, get, models},
};

async fn filled() -> Minio {
    let minio = Minio::start().await;
    minio.create_bucket("mlpipeline").await;
    minio.put("mlpipeline", "models/m/1/model.onnx", models::identity(Datatype::Fp32)).await;
    minio.put("mlpipeline", "models/m/2/model.onnx", models::identity(Datatype::Int8)).await;
    minio
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_served() {
    let minio = filled().await;
    let server = ServerBuilder::new()
        .envs(minio.variables())
        .args(["--model-repository", "s3://mlpipeline/models"])
        .spawn();
    server.wait_until_ready();
    let metadata = get(&format!("{}/v2/models/m", server.url())).json();
    assert_eq!((&metadata["versions"], &metadata["inputs"][0]["datatype"]), (&json!(["2"]), &json!("INT8")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_at_start_is_waited_for() {
    let mut minio = filled().await;
    minio.stop().await;
    let server = ServerBuilder::new()
        .envs(minio.variables())
        .args(["--model-repository", "s3://mlpipeline/models", "--listen", "early"])
        .spawn();
    server.wait_for("waiting for the models");
    assert_eq!(get(&format!("{}/v2/health/live", server.url())).status, 200);
    assert_eq!(get(&format!("{}/v2/health/ready", server.url())).status, 503);
    minio.start_again().await;
    server.wait_until_ready();
    assert_eq!(get(&format!("{}/v2/models/m/ready", server.url())).status, 200);
    // From now on the store is not needed.
    minio.stop().await;
    assert_eq!(get(&format!("{}/v2/models/m/ready", server.url())).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_cannot_mend_is_one_line_and_70() {
    let minio = filled().await;
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let with = |name: &'static str, value: &str| {
        let mut variables = minio.variables();
        variables
            .iter_mut()
            .filter(|variable| variable.0 == name)
            .for_each(|variable| value.clone_into(&mut variable.1));
        variables
    };
    for (variables, uri, named) in [
        (minio.variables(), "s3://nobucket/models", "nobucket"),
        (minio.variables(), "s3://mlpipeline/nothing", "s3://mlpipeline/nothing"),
        (with("AWS_SECRET_ACCESS_KEY", "wrong-secret"), "s3://mlpipeline/models", "AWS_SECRET_ACCESS_KEY"),
        (with("AWS_ENDPOINT_URL", &format!("http://{unused}")), "s3://mlpipeline/models", "cannot reach"),
    ] {
        let args = ["--model-repository", uri, "--startup-timeout", "1s"];
        let mut server = ServerBuilder::new().envs(variables).args(args).spawn();
        assert_eq!(server.wait().code(), Some(70), "{uri}: {:?}", server.log());
        let log = server.log();
        let errors: Vec<_> = log.iter().filter(|line| line.contains("\"ERROR\"")).collect();
        assert!(errors.len() == 1 && errors[0].contains(named), "{named}: {log:?}");
    }
}

#[test]
fn what_is_published_takes_over_when_it_is_loaded_without_a_failed_request() {
    let (runtime, onnx) = (Runtime::new().unwrap(), models::identity(Datatype::Fp32));
    let minio = runtime.block_on(Minio::start());
    runtime.block_on(minio.create_bucket("mlpipeline"));
    let store = Store::open(&minio.location("mlpipeline/models/m"), &minio.settings()).unwrap();
    let publish = |version: &str| {
        runtime.block_on(store.publish(version, &[("model.onnx", onnx.clone().into())])).unwrap();
    };
    publish("1");
    let server = ServerBuilder::new()
        .envs(minio.variables())
        .args(["--model-repository", "s3://mlpipeline/models", "--model-control", "explicit"])
        .spawn();
    server.wait_until_ready();
    under_traffic(&server, |version| {
        let (before, version) = (versions(&server), version.to_string());
        publish(&version);
        assert_eq!(versions(&server), before, "not before it is asked for");
        assert_eq!(load(&server, "m").status, 200);
        assert_eq!(versions(&server), json!([version]));
        assert_eq!(load(&server, "m").status, 200, "nothing to do is fine");
        assert_eq!(versions(&server), json!([version]));
    });
    assert_eq!(unload(&server, "m").status, 200);
    assert_eq!(infer(&server, "m").status, 503);
    assert_eq!(load(&server, "m").status, 200);
    assert_eq!((infer(&server, "m").status, versions(&server)), (200, json!(["11"])));
}

#[test]
fn versions_that_are_not_served_any_more_leave_the_disk() {
    let runtime = Runtime::new().unwrap();
    let minio = runtime.block_on(Minio::start());
    runtime.block_on(minio.create_bucket("mlpipeline"));
    let publish = |model: &str, version: u32, datatype| {
        let key = format!("models/{model}/{version}/model.onnx");
        runtime.block_on(minio.put("mlpipeline", &key, models::identity(datatype)));
    };
    publish("m", 1, Datatype::Fp32);
    publish("steady", 1, Datatype::Int8);
    let cache = tempfile::tempdir().unwrap();
    let folders = || fs::read_dir(cache.path()).map_or(0, Iterator::count);
    let start = |args: &[&'static str]| {
        let server = ServerBuilder::new().envs(minio.variables());
        let server = server.args(["--model-cache-dir", cache.path().to_str().unwrap()]);
        let server = server.args(["--model-repository", "s3://mlpipeline/models"]);
        server.args(args.iter().copied()).spawn()
    };
    let server = start(&["--poll-interval", "20ms"]);
    server.wait_until_ready();
    for version in 2..6 {
        publish("m", version, Datatype::Fp32);
        eventually(|| versions(&server) == json!([version.to_string()]));
        eventually(|| folders() == 2);
    }
    publish("m", 5, Datatype::Fp64); // another file under the same version
    eventually(|| infer(&server, "m").status == 400 && folders() == 2);
    assert_eq!(unload(&server, "steady").status, 200);
    publish("m", 6, Datatype::Fp32);
    eventually(|| versions(&server) == json!(["6"]) && folders() == 2);
    drop(server);

    // A new start uses what is there, and removes what nothing is served from.
    publish("m", 7, Datatype::Fp32);
    let server = start(&["--log-level", "info,storage=debug"]);
    server.wait_until_ready();
    assert!(server.log().iter().any(|line| line.contains("already downloaded")), "{:?}", server.log());
    eventually(|| folders() == 2);
    assert_eq!(versions(&server), json!(["7"]));
    // A second server over the same folder takes nothing away from the first.
    publish("m", 8, Datatype::Fp32);
    let second = start(&[]);
    second.wait_until_ready();
    assert_eq!((folders(), versions(&second)), (3, json!(["8"])));
    assert_eq!(load(&server, "m").status, 200);
    eventually(|| folders() == 2);
}

#[test]
fn a_download_has_the_time_that_it_is_given() {
    let runtime = Runtime::new().unwrap();
    let minio = runtime.block_on(filled());
    let args = ["--model-repository", "s3://mlpipeline/models", "--startup-timeout", "0"];
    let mut server =
        ServerBuilder::new().envs(minio.variables()).args(args).args(["--download-timeout", "1us"]).spawn();
    assert_eq!(server.wait().code(), Some(70));
    assert!(server.log().iter().any(|line| line.contains("--download-timeout")), "{:?}", server.log());
}
