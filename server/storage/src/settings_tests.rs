use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings> {
    Settings::from_env(&|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    read(variables).unwrap()
}

#[test]
fn nothing_set_means_aws_with_the_limits_of_kserve() {
    let expected = Settings {
        endpoint: None,
        use_https: false,
        region: "us-east-1".to_owned(),
        credentials: Credentials::Chain,
        addressing: Addressing::Auto,
        accelerate: false,
        ca_bundle: None,
        verify_tls: true,
        connect_timeout: Duration::from_secs(15),
        read_timeout: Duration::from_secs(30),
        attempts: 3,
        concurrency: 4,
        deadline: Duration::from_mins(10),
    };
    assert_eq!(settings(&[]), expected);
    assert_eq!(
        settings(&[("AWS_ENDPOINT_URL", ""), ("S3_MAX_ATTEMPTS", ""), ("STORAGE_CONFIG", "")]),
        expected
    );
}

/// Each case sets variables and lists the settings that must differ from the defaults.
#[test]
fn every_variable_is_read() {
    type Change = fn(&mut Settings);
    let table: &[(&[(&str, &str)], Change)] = &[
        (&[("AWS_ENDPOINT_URL_S3", "http://a:1")], |s| s.endpoint = Some("http://a:1".into())),
        (&[("AWS_ENDPOINT_URL", "http://a:1")], |s| s.endpoint = Some("http://a:1".into())),
        (&[("S3_ENDPOINT", "a:1")], |s| s.endpoint = Some("https://a:1".into())),
        (&[("S3_ENDPOINT", "a:1"), ("S3_USE_HTTPS", "0")], |s| s.endpoint = Some("http://a:1".into())),
        (&[("S3_ENDPOINT", "http://a:1"), ("S3_USE_HTTPS", "1")], |s| {
            s.endpoint = Some("http://a:1".into());
            s.use_https = true;
        }),
        (&[("S3_ENDPOINT", "b:2"), ("AWS_ENDPOINT_URL", "http://a:1")], |s| {
            s.endpoint = Some("http://a:1".into());
        }),
        (&[("S3_USE_HTTPS", "0")], |s| s.use_https = false),
        (&[("S3_USE_HTTPS", "1")], |s| s.use_https = true),
        (&[("AWS_REGION", "eu-1")], |s| s.region = "eu-1".into()),
        (&[("AWS_DEFAULT_REGION", "eu-1")], |s| s.region = "eu-1".into()),
        (&[("AWS_DEFAULT_REGION", "eu-2"), ("AWS_REGION", "eu-1")], |s| s.region = "eu-1".into()),
        (&[("awsAnonymousCredential", "true")], |s| s.credentials = Credentials::Anonymous),
        (
            &[("awsAnonymousCredential", "True"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")],
            |s| {
                s.credentials = Credentials::Anonymous;
            },
        ),
        (&[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")], |s| {
            s.credentials = Credentials::Keys { id: "k".into(), secret: Secret::new("s"), token: None };
        }),
        (&[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")], |s| {
            let token = Some(Secret::new("t"));
            s.credentials = Credentials::Keys { id: "k".into(), secret: Secret::new("s"), token };
        }),
        (&[("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")], |s| {
            let session = "decima".to_owned();
            s.credentials = Credentials::WebIdentity { role: "r".into(), token_file: "/t".into(), session };
        }),
        (
            &[("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_SESSION_NAME", "n")],
            |s| {
                let session = "n".to_owned();
                s.credentials =
                    Credentials::WebIdentity { role: "r".into(), token_file: "/t".into(), session };
            },
        ),
        (&[("S3_USER_VIRTUAL_BUCKET", "true")], |s| s.addressing = Addressing::Virtual),
        (&[("S3_USER_VIRTUAL_BUCKET", "false")], |s| s.addressing = Addressing::Auto),
        (&[("S3_USE_ACCELERATE", "true")], |s| s.accelerate = true),
        (&[("AWS_CA_BUNDLE", "/ca.pem")], |s| s.ca_bundle = Some("/ca.pem".into())),
        (&[("AWS_CA_BUNDLE_CONFIGMAP", "m")], |s| {
            s.ca_bundle = Some("/etc/ssl/custom-certs/cabundle.crt".into());
        }),
        (&[("CA_BUNDLE_CONFIGMAP_NAME", "m"), ("CA_BUNDLE_VOLUME_MOUNT_POINT", "/ca")], |s| {
            s.ca_bundle = Some("/ca/cabundle.crt".into());
        }),
        (&[("S3_VERIFY_SSL", "0")], |s| s.verify_tls = false),
        (&[("S3_VERIFY_SSL", "False")], |s| s.verify_tls = false),
        (&[("S3_VERIFY_SSL", "1")], |s| s.verify_tls = true),
        (&[("S3_CONNECT_TIMEOUT", "2")], |s| s.connect_timeout = Duration::from_secs(2)),
        (&[("S3_READ_TIMEOUT", "7")], |s| s.read_timeout = Duration::from_secs(7)),
        (&[("S3_MAX_ATTEMPTS", "9")], |s| s.attempts = 9),
        (&[("S3_MAX_FILE_CONCURRENCY", "1")], |s| s.concurrency = 1),
    ];
    for (variables, change) in table {
        let mut expected = settings(&[]);
        change(&mut expected);
        assert_eq!(settings(variables), expected, "{variables:?}");
    }
}

#[test]
fn a_storage_specification_outranks_single_variables() {
    let specification = r#"{"type": "s3", "endpoint_url": "http://minio:9000", "access_key_id": "k",
        "secret_access_key": "s", "region": "eu-1", "ca_bundle": "/ca.pem", "verify_ssl": false, "bucket": "b",
        "anonymous": "False", "cabundle_configmap": "m"}"#;
    let read = settings(&[
        ("STORAGE_CONFIG", specification),
        ("STORAGE_OVERRIDE_CONFIG", r#"{"region": "eu-2"}"#),
        ("AWS_ENDPOINT_URL", "http://other:1"),
        ("AWS_ACCESS_KEY_ID", "other"),
    ]);
    let expected = Settings {
        endpoint: Some("http://minio:9000".into()),
        credentials: Credentials::Keys { id: "k".into(), secret: Secret::new("s"), token: None },
        region: "eu-2".into(),
        ca_bundle: Some("/ca.pem".into()),
        verify_tls: false,
        ..settings(&[])
    };
    assert_eq!(read, expected);
}

#[test]
fn errors_name_the_variable_and_never_show_secrets() {
    for (variables, expected) in [
        (&[("S3_READ_TIMEOUT", "soon")], "S3_READ_TIMEOUT: soon is not a whole number of at least 1"),
        (&[("S3_MAX_ATTEMPTS", "0")], "S3_MAX_ATTEMPTS: 0 is not a whole number of at least 1"),
        (
            &[("AWS_ACCESS_KEY_ID", "k")],
            "AWS_SECRET_ACCESS_KEY: not set, but AWS_ACCESS_KEY_ID is: set both or none",
        ),
        (
            &[("AWS_SECRET_ACCESS_KEY", "s")],
            "AWS_ACCESS_KEY_ID: not set, but AWS_SECRET_ACCESS_KEY is: set both or none",
        ),
        (&[("STORAGE_CONFIG", "geheim")], "STORAGE_CONFIG: not a JSON object (line 1, column 1)"),
        (
            &[("STORAGE_CONFIG", r#"{"type":"gs"}"#)],
            "STORAGE_CONFIG: storage of type gs is not supported: use s3",
        ),
    ] {
        assert_eq!(read(variables).unwrap_err().to_string(), expected);
    }
    let shown = format!("{:?}", settings(&[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "geheim")]));
    assert!(shown.contains("***") && !shown.contains("geheim"), "{shown}");
}
