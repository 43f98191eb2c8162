//! Each mistake of a user gives one line that names the address, the fault and the remedy.

use storage::testkit::{Minio, free_port};
use storage::{Credentials, Location, Secret, Settings, StorageError, Store};

async fn list_error(location: &Location, settings: &Settings) -> StorageError {
    let error = Store::open(location, settings).unwrap().list().await.unwrap_err();
    assert!(!error.to_string().contains('\n'), "more than one line: {error}");
    error
}

fn settings() -> Settings {
    Settings::from_env(&|_| None).unwrap()
}

#[tokio::test]
async fn wrong_buckets_and_credentials_are_named() {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    let (good, endpoint) = (minio.settings(), minio.endpoint());

    let error = list_error(&minio.location("none/digits"), &good).await;
    assert_eq!(
        error.to_string(),
        format!(
            "s3://{endpoint}/none/digits: {endpoint} has no bucket none: create it, or correct the address"
        )
    );
    assert!(!error.is_transient());

    let location = minio.location("models/digits");
    for (id, secret, code) in
        [("nobody", "minio123", "InvalidAccessKeyId"), ("minio", "wrong", "SignatureDoesNotMatch")]
    {
        let credentials = Credentials::Keys { id: id.to_owned(), secret: Secret::new(secret), token: None };
        let error = list_error(&location, &Settings { credentials, ..good.clone() }).await;
        assert_eq!(
            error.to_string(),
            format!(
                "s3://{endpoint}/models/digits: {endpoint} refused the credentials ({code}): \
                 check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        );
        assert!(!error.is_transient());
    }

    let anonymous = Settings { credentials: Credentials::Anonymous, ..good.clone() };
    let error = list_error(&location, &anonymous).await;
    assert_eq!(
        error.to_string(),
        format!(
            "s3://{endpoint}/models/digits: {endpoint} denied s3:ListBucket (AccessDenied): \
             allow it in the policy of this access key"
        )
    );

    let nobody = Settings { credentials: Credentials::Chain, ..good };
    let error = list_error(&location, &nobody).await;
    assert!(error.to_string().contains("no credentials: set AWS_ACCESS_KEY_ID"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_public_bucket_needs_no_credentials() {
    let minio = Minio::start().await;
    minio.create_bucket("models").await;
    minio.put("models", "digits/1/model.onnx", "model").await;
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"]}]}"#;
    let request = minio.client().put_bucket_policy().bucket("models").policy(policy);
    Box::pin(request.send()).await.unwrap();

    let anonymous = Settings { credentials: Credentials::Anonymous, ..settings() };
    let store = Store::open(&minio.location("models/digits"), &anonymous).unwrap();
    assert_eq!(store.read("1/model.onnx", 100).await.unwrap(), "model");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_worth_waiting_for() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let keys = Credentials::Keys { id: "k".to_owned(), secret: Secret::new("s"), token: None };
    let settings = Settings { credentials: keys, endpoint: Some(endpoint.clone()), ..settings() };
    let error = list_error(&"s3://models".parse().unwrap(), &settings).await;
    let text = error.to_string();
    assert!(text.starts_with(&format!("s3://models: cannot reach {endpoint}: ")), "{text}");
    assert!(text.contains("refused"), "{text}");
    assert!(error.is_transient());

    let unknown = Settings { endpoint: Some("http://no-such-host.invalid:9000".to_owned()), ..settings };
    let error = list_error(&"s3://models".parse().unwrap(), &unknown).await;
    assert!(error.to_string().contains("cannot reach http://no-such-host.invalid:9000"), "{error}");
}

#[tokio::test]
async fn tls_slips_are_explained() {
    let minio = Minio::start().await;
    let https = Settings {
        endpoint: Some(format!("https://127.0.0.1:{}", minio.port())),
        attempts: 1,
        ..minio.settings()
    };
    let models: Location = "s3://models".parse().unwrap();
    let error = list_error(&models, &https).await;
    assert!(error.to_string().contains("write http://, or set S3_USE_HTTPS=0"), "{error}");

    let unchecked = Settings { verify_tls: false, ..https.clone() };
    let error = Store::open(&models, &unchecked).unwrap_err();
    assert!(error.to_string().starts_with("S3_VERIFY_SSL: "), "{error}");

    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let with_bundle = Settings { ca_bundle: Some(file.clone()), ..https };
    for (content, expected) in [
        (None, "cannot be read"),
        (Some("no certificate"), "holds no certificate"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "holds a certificate that is not valid",
        ),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = Store::open(&models, &with_bundle).unwrap_err().to_string();
        assert!(error.starts_with(&format!("AWS_CA_BUNDLE: {}: {expected}", file.display())), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_is_trusted_once_its_file_is_named() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let minio = Minio::start_https(&made.cert.pem(), &made.signing_key.serialize_pem()).await;
    minio.create_bucket("models").await;
    minio.put("models", "digits/1/model.onnx", "model").await;
    let location = minio.location("models/digits");
    let store = Store::open(&location, &minio.settings()).unwrap();
    assert_eq!(store.read("1/model.onnx", 100).await.unwrap(), "model");

    let error = list_error(&location, &Settings { ca_bundle: None, ..minio.settings() }).await;
    assert!(matches!(error, StorageError::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("name its CA's file in AWS_CA_BUNDLE"), "{error}");
    assert!(!error.is_transient());
}
