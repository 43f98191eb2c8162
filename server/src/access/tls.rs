//! The server's certificate and key, and the authorities of its clients.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use sha2::{Digest as _, Sha256};

use super::{AccessError, tokens::read_bounded};
use crate::config::TlsFiles;

const CERT: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const CLIENT_CA: &str = "--tls-client-ca";

/// The protocols that clients may choose from in the handshake (ALPN).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What handshakes need. New connections get what was read last; those that are open keep theirs.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// The digest of all files, which tells whether they have changed.
    digest: [u8; 32],
}

/// The contents of the files.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, has not what it should have, or the key is not that of the certificate.
    pub fn open(files: &TlsFiles) -> Result<Self, AccessError> {
        let contents = Contents::read(files)?;
        let loaded = Loaded { config: config(files, &contents)?, digest: contents.digest() };
        Ok(Self { files: files.clone(), loaded: ArcSwap::from_pointee(loaded) })
    }

    /// Returns what a handshake needs.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.load().config)
    }

    /// The file of the certificate.
    pub(super) fn path(&self) -> &Path {
        &self.files.cert
    }

    /// Reads the files again. Returns whether they have changed. After an error, what was read before stays.
    pub(super) fn reload(&self) -> Result<bool, AccessError> {
        let contents = Contents::read(&self.files)?;
        let digest = contents.digest();
        if self.loaded.load().digest == digest {
            return Ok(false);
        }
        self.loaded.store(Arc::new(Loaded { config: config(&self.files, &contents)?, digest }));
        Ok(true)
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, AccessError> {
        let read = |setting, path: &PathBuf| {
            read_bounded(path).map_err(|reason| AccessError::new(setting, path, reason))
        };
        Ok(Self {
            cert: read(CERT, &files.cert)?,
            key: read(KEY, &files.key)?,
            client_ca: files.client_ca.as_ref().map(|path| read(CLIENT_CA, path)).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        let digest = parts.into_iter().flatten().fold(Sha256::new(), |digest, part| {
            digest.chain_update((part.len() as u64).to_le_bytes()).chain_update(part)
        });
        digest.finalize().into()
    }
}

fn config(files: &TlsFiles, contents: &Contents) -> Result<Arc<ServerConfig>, AccessError> {
    let of_cert = |reason: String| AccessError::new(CERT, &files.cert, reason);
    let chain = certificates(&contents.cert).map_err(of_cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
        let reason = match error {
            pem::Error::NoItemsFound => {
                "there is no private key in it (PEM, 'BEGIN PRIVATE KEY', not encrypted)".into()
            }
            error => format!("the private key cannot be read: {error}"),
        };
        AccessError::new(KEY, &files.key, reason)
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_cert(error.to_string()))?;
    let builder = match files.client_ca.as_ref().zip(contents.client_ca.as_ref()) {
        None => builder.with_no_client_auth(),
        Some((path, content)) => {
            let wrong = |reason: String| AccessError::new(CLIENT_CA, path, reason);
            let mut roots = RootCertStore::empty();
            for authority in certificates(content).map_err(wrong)? {
                roots.add(authority).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let reason = format!("this is not the key of the certificate in {}", files.cert.display());
            AccessError::new(KEY, &files.key, reason)
        }
        rustls::Error::InvalidCertificate(error) => {
            of_cert(format!("the certificate cannot be read: {error}"))
        }
        error => AccessError::new(KEY, &files.key, error.to_string()),
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("the certificates cannot be read: {error}"))?;
    if read.is_empty() {
        Err("there is no certificate in it (PEM, 'BEGIN CERTIFICATE')".into())
    } else {
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for `localhost` and its key, in PEM.
    fn signed() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn files_are_read_again_and_a_half_written_pair_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ((cert, key), (other_cert, other_key)) = (signed(), signed());
        let files = TlsFiles {
            cert: write(folder.path(), "cert.pem", &cert),
            key: write(folder.path(), "key.pem", &key),
            client_ca: None,
        };
        let tls = Tls::open(&files).unwrap();
        let first = tls.config();
        assert_eq!(tls.reload(), Ok(false));
        write(folder.path(), "cert.pem", &other_cert);
        let error = tls.reload().unwrap_err();
        assert!(error.setting == KEY && error.reason.contains("not the key"), "{error}");
        assert!(Arc::ptr_eq(&tls.config(), &first));
        write(folder.path(), "key.pem", &other_key);
        assert_eq!(tls.reload(), Ok(true));
        assert!(!Arc::ptr_eq(&tls.config(), &first));
        assert_eq!(tls.reload(), Ok(false));
    }

    #[test]
    fn one_file_may_hold_certificate_and_key() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = signed();
        let both = write(folder.path(), "both.pem", &format!("{key}{cert}"));
        let tls = Tls::open(&TlsFiles { cert: both.clone(), key: both, client_ca: None }).unwrap();
        assert_eq!(tls.config().alpn_protocols, PROTOCOLS);
    }

    #[test]
    fn an_error_names_the_setting_the_file_and_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = signed();
        let cert_file = write(folder.path(), "cert.pem", &cert);
        let key_file = write(folder.path(), "key.pem", &key);
        let broken = write(folder.path(), "broken.pem", &cert.replace("MII", "!!!"));
        let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let noise = write(folder.path(), "noise.pem", noise);
        let missing = folder.path().join("missing.pem");
        let other_key = write(folder.path(), "other.pem", &signed().1);
        for (cert, key, client_ca, setting, reason) in [
            (&missing, &key_file, None, CERT, "No such file"),
            (&key_file, &key_file, None, CERT, "no certificate"),
            (&broken, &key_file, None, CERT, "cannot be read"),
            (&noise, &key_file, None, CERT, "cannot be read"),
            (&cert_file, &missing, None, KEY, "No such file"),
            (&cert_file, &cert_file, None, KEY, "no private key"),
            (&cert_file, &other_key, None, KEY, "not the key of the certificate"),
            (&cert_file, &key_file, Some(&missing), CLIENT_CA, "No such file"),
            (&cert_file, &key_file, Some(&key_file), CLIENT_CA, "no certificate"),
        ] {
            let files = TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: client_ca.cloned() };
            let error = Tls::open(&files).unwrap_err();
            let named = client_ca.unwrap_or(if setting == KEY { key } else { cert });
            assert!(
                (error.setting, &error.path) == (setting, named) && error.reason.contains(reason),
                "{error}"
            );
        }
    }
}
