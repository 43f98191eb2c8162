//! Downloads one object of a bucket: streams it to a file, resumes after lost connections, and checks the content.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::{
    Result, StorageError,
    bucket::{BucketClient, published_sha256},
    fault::innermost,
    object::Object,
};

/// The pause after the first lost connection. It doubles with each further one, up to a limit.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An attempt that received fewer bytes than this counts as one without progress.
const MIN_PROGRESS_BYTES: u64 = 64 * 1024;

/// The file that receives a body, and the bytes received so far.
struct Receiver<'a> {
    path: &'a Path,
    file: File,
    received: u64,
    hasher: Sha256,
    progress: &'a (dyn Fn(u64) + Send + Sync),
}

/// Downloads an object into a new file. Returns its SHA-256 in hexadecimal.
///
/// After a lost connection, the download resumes at the next byte, provided that the object has not changed. The
/// settings limit the attempts without progress; the caller's deadline limits the total time.
pub(crate) async fn receive(
    bucket: &BucketClient,
    object: &Object,
    path: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<String> {
    let file = File::create(path).await.map_err(StorageError::io(path, "create"))?;
    let mut receiver = Receiver { path, file, received: 0, hasher: Sha256::new(), progress };
    let mut expected = object.sha256.clone();
    let mut failures = 0;
    loop {
        let before = receiver.received;
        let error = match read_on(bucket, object, &mut receiver, &mut expected).await {
            Ok(()) => break,
            Err(error) => error,
        };
        failures = if receiver.received >= before + MIN_PROGRESS_BYTES { 1 } else { failures + 1 };
        // without an ETag, the rest may belong to another object
        let give_up = object.etag.is_none() || failures >= bucket.settings.attempts;
        if give_up || !error.is_transient() || matches!(error, StorageError::Changed { .. }) {
            return Err(with_attempts(error, failures));
        }
        tracing::warn!(%error, received_bytes = receiver.received, "reading goes on after a pause");
        tokio::time::sleep(pause(failures)).await;
    }
    receiver.file.sync_all().await.map_err(StorageError::io(path, "write"))?;
    let actual = hex(&receiver.hasher.finalize());
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&actual) => {
            Err(StorageError::Checksum { address: bucket.address_of(&object.full_key), expected, actual })
        }
        _ => Ok(actual),
    }
}

/// Reads from the receiver's position to the end of the object.
async fn read_on(
    bucket: &BucketClient,
    object: &Object,
    receiver: &mut Receiver<'_>,
    expected: &mut Option<String>,
) -> Result<()> {
    let address = || bucket.address_of(&object.full_key);
    let answer = bucket.get(&object.full_key, object.etag.as_deref(), receiver.received).await?;
    let promised = answer.content_length.and_then(|n| u64::try_from(n).ok());
    if promised.is_some_and(|rest| receiver.received + rest != object.size) {
        return Err(StorageError::Changed { address: address() });
    }
    if expected.is_none() {
        *expected = published_sha256(&answer).map(str::to_owned);
    }
    let mut body = answer.body;
    let cut = |cause: String, received: u64| StorageError::Cut {
        address: address(),
        received,
        size: object.size,
        attempts: 1,
        cause,
    };
    while let Some(chunk) =
        next(&mut body, bucket.settings.read_timeout).await.map_err(|cause| cut(cause, receiver.received))?
    {
        receiver.write(&chunk).await?;
        if receiver.received > object.size {
            return Err(StorageError::Changed { address: address() });
        }
    }
    receiver.file.flush().await.map_err(StorageError::io(receiver.path, "write"))?;
    if receiver.received < object.size {
        return Err(cut("the body ended early".to_owned(), receiver.received));
    }
    Ok(())
}

/// Reads one object of at most `limit` bytes into memory.
pub(crate) async fn read(client: &BucketClient, key: &str, limit: u64) -> Result<Bytes> {
    let full_key = client.address.key(key);
    let address = client.address_of(&full_key);
    let answer = client.get(&full_key, None, 0).await?;
    let size = answer.content_length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    if size > limit {
        return Err(StorageError::TooLarge { address, size, limit });
    }
    let mut body = answer.body;
    let mut content = Vec::with_capacity(size as usize);
    loop {
        let received = content.len() as u64;
        let chunk = next(&mut body, client.settings.read_timeout).await;
        let cause = match chunk {
            Ok(Some(chunk)) if received + chunk.len() as u64 > limit => {
                return Err(StorageError::TooLarge { address, size: received + chunk.len() as u64, limit });
            }
            Ok(Some(chunk)) => {
                content.extend_from_slice(&chunk);
                continue;
            }
            Ok(None) if received >= size => return Ok(content.into()),
            Ok(None) => "the body ended early".to_owned(),
            Err(cause) => cause,
        };
        return Err(StorageError::Cut { address, received, size, attempts: 1, cause });
    }
}

/// Waits for the next part of a body, and returns why there is none if it fails.
async fn next(body: &mut ByteStream, timeout: Duration) -> std::result::Result<Option<Bytes>, String> {
    match tokio::time::timeout(timeout, body.next()).await {
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(innermost(&error)),
        Ok(None) => Ok(None),
        Err(_) => Err(format!("nothing came for {} s", timeout.as_secs())),
    }
}

impl Receiver<'_> {
    async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.file.write_all(chunk).await.map_err(StorageError::io(self.path, "write"))?;
        self.hasher.update(chunk);
        self.received += chunk.len() as u64;
        (self.progress)(chunk.len() as u64);
        Ok(())
    }
}

fn with_attempts(error: StorageError, tried: u32) -> StorageError {
    match error {
        StorageError::Cut { address, received, size, cause, .. } => {
            StorageError::Cut { address, received, size, cause, attempts: tried }
        }
        other => other,
    }
}

/// The pause after this number of failures. It doubles each time. Jitter keeps clients that lost their connections
/// together from returning together.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64())
}

/// The bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
