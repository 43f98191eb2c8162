//! Builds the SDK's client from [`Settings`]: endpoint, TLS, credentials, timeouts, retries.

use std::path::Path;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials as Keys, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::{
    Result, StorageError,
    location::Bucket,
    settings::{Addressing, Credentials, Settings, with_scheme},
};

/// The pause before the first retry of a request. The SDK doubles it for each further retry and adds jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// Returns a client, and the name of its server for messages.
pub(crate) fn build(bucket: &Bucket, settings: &Settings) -> Result<(aws_sdk_s3::Client, String)> {
    let in_address = bucket.endpoint.as_ref().map(|endpoint| with_scheme(endpoint, settings.use_https));
    let endpoint = in_address.or_else(|| settings.endpoint.clone());
    let http = match &endpoint {
        Some(url) if url.starts_with("http://") => aws_smithy_http_client::Builder::new().build_http(),
        _ => https(settings)?,
    };

    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(settings.region.clone()))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(settings.connect_timeout)
                .read_timeout(settings.read_timeout)
                .build(),
        )
        .retry_config(
            RetryConfig::standard().with_max_attempts(settings.attempts).with_initial_backoff(FIRST_BACKOFF),
        )
        // `transfer` has its own check for stalled bodies; some stores do not know AWS's newer checksums
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(endpoint.is_some() && settings.addressing == Addressing::Auto)
        .accelerate(endpoint.is_none() && settings.accelerate);
    config = match credentials(settings, endpoint.is_some())? {
        Some(provider) => config.credentials_provider(provider),
        None => config.allow_no_auth(),
    };
    let name = endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", settings.region));
    config.set_endpoint_url(endpoint);
    Ok((aws_sdk_s3::Client::from_conf(config.build()), name))
}

/// An HTTP client that supports HTTPS. It supports HTTP too, which credential services use.
fn https(settings: &Settings) -> Result<SharedHttpClient> {
    if !settings.verify_tls {
        return Err(StorageError::Setting {
            name: "S3_VERIFY_SSL".to_owned(),
            reason: "HTTPS without a check of the certificate is not supported: \
                     name the file of its CA in AWS_CA_BUNDLE, or use http://"
                .to_owned(),
        });
    }
    let mut roots = TrustStore::default();
    if let Some(file) = &settings.ca_bundle {
        roots.add_pem_certificate(certificates(file)?);
    }
    let context = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .map_err(|e| StorageError::Setting { name: "AWS_CA_BUNDLE".to_owned(), reason: e.to_string() })?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

/// Reads and checks a PEM file, because the HTTP client panics on an invalid one.
fn certificates(file: &Path) -> Result<Vec<u8>> {
    let unusable = |reason: String| StorageError::Setting {
        name: "AWS_CA_BUNDLE".to_owned(),
        reason: format!("{}: {reason}", file.display()),
    };
    let text = std::fs::read(file).map_err(|e| unusable(format!("cannot be read: {e}")))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| unusable(format!("not a PEM file: {e}")))?;
        store
            .add(certificate)
            .map_err(|e| unusable(format!("holds a certificate that is not valid: {e}")))?;
    }
    if store.is_empty() { Err(unusable("holds no certificate".to_owned())) } else { Ok(text) }
}

/// Where the credentials for signatures come from. `None` for unsigned requests.
fn credentials(settings: &Settings, custom_endpoint: bool) -> Result<Option<SharedCredentialsProvider>> {
    let provider = match &settings.credentials {
        Credentials::Anonymous => return Ok(None),
        Credentials::Keys { id, secret, token } => {
            let token = token.as_ref().map(|token| token.expose().to_owned());
            SharedCredentialsProvider::new(Keys::new(id, secret.expose(), token, None, "settings"))
        }
        Credentials::WebIdentity { role, token_file, session } => {
            let configuration = StaticConfiguration {
                web_identity_token_file: token_file.clone(),
                role_arn: role.clone(),
                session_name: session.clone(),
            };
            SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder()
                    .configure(&provider_config(settings)?)
                    .static_configuration(configuration)
                    .build(),
            )
        }
        Credentials::Chain => SharedCredentialsProvider::new(chain(settings, custom_endpoint)?),
    };
    Ok(Some(provider))
}

/// The credential sources in order: profile files, the container's credentials, the instance's credentials. The last
/// source exists on AWS only. It is left out for a custom endpoint, because the client would wait for a response until
/// its timeout.
fn chain(settings: &Settings, custom_endpoint: bool) -> Result<CredentialsProviderChain> {
    let config = provider_config(settings)?;
    let profile = ProfileFileCredentialsProvider::builder().configure(&config).build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let chain = CredentialsProviderChain::first_try("profile files", profile).or_else("container", container);
    if custom_endpoint {
        return Ok(chain);
    }
    let one_second = Duration::from_secs(1);
    let metadata = aws_config::imds::Client::builder()
        .configure(&config)
        .max_attempts(1)
        .connect_timeout(one_second)
        .read_timeout(one_second)
        .build();
    Ok(chain.or_else(
        "instance",
        ImdsCredentialsProvider::builder().configure(&config).imds_client(metadata).build(),
    ))
}

fn provider_config(settings: &Settings) -> Result<ProviderConfig> {
    Ok(ProviderConfig::without_region()
        .with_region(Some(Region::new(settings.region.clone())))
        .with_http_client(https(settings)?))
}
