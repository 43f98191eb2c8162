//! Models in a bucket of a real MinIO: found, waited for, and never half loaded.

use std::net::TcpListener;

use oip::Datatype;
use serde_json::json;
use storage::{Store, testkit::Minio};
use tokio::runtime::Runtime;

use crate::{
    model_control::{infer, load, under_traffic, unload, versions},
    support::{ServerBuilder, get, models},
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
