//! The task that checks corrections and stores them, one after another.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use pictures::{
    decode::{Format, Limits, decode},
    mnist,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use storage::{Location, Store};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{Budget, Job, STORE_TIMEOUT};
use crate::error::{ErrorCode, ServeError};

/// Shortest time between two warnings about corrections that cannot be stored.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// Decodes corrections, so that only pictures are stored, and stores them.
#[derive(Debug)]
pub struct Writer {
    jobs: mpsc::Receiver<Job>,
    store: Store,
    budget: Arc<Budget>,
    limits: Limits,
    last_warning: Option<Instant>,
    /// Corrections since the last warning that could not be stored.
    lost: u64,
}

impl Writer {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, store: Store, budget: Arc<Budget>, limits: Limits) -> Self {
        Self { jobs, store, budget, limits, last_warning: None, lost: 0 }
    }

    /// Returns where corrections are stored.
    pub fn place(&self) -> &Location {
        self.store.location()
    }

    /// Stores corrections until the server stops.
    pub async fn run(mut self) {
        while let Some(mut job) = self.jobs.recv().await {
            let bytes = job.picture.len() as u64;
            let stored = self.store(&mut job).await;
            if stored.is_err() {
                self.budget.give_back(bytes);
            }
            // The client may have disconnected.
            let _disconnected = job.done.send(stored);
        }
    }

    async fn store(&mut self, job: &mut Job) -> Result<String, ServeError> {
        if job.arrived.elapsed() > STORE_TIMEOUT {
            return Err(self.record_loss("the store takes longer than corrections come"));
        }
        let picture = job.picture.clone();
        // `workers::run_blocking` would pass on a panic of the decoder and end this task. Here, only the picture fails.
        let (limits, reads_digits) = (self.limits, job.reads_digits);
        let checked = spawn_blocking(move || check_picture(&picture, limits, reads_digits)).await;
        let (sha256, format) =
            checked.map_err(|_| ServeError::invalid("the picture cannot be decoded"))??;
        let name = format!("{}/{sha256}", job.folder);
        let about = json!({
            "label": job.label,
            "model": job.model,
            "version": job.version,
            "time": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            "sha256": sha256,
        });
        let key = format!("{name}.{}", extension(format));
        let about = Bytes::from(about.to_string());
        let put = async {
            // The picture is written last: readers ignore a description without a picture.
            self.store.put(&format!("{name}.json"), about).await?;
            self.store.put(&key, job.picture.clone()).await
        };
        match timeout(STORE_TIMEOUT, put).await {
            Ok(Ok(())) => Ok(key),
            Ok(Err(error)) => Err(self.record_loss(&error.to_string())),
            Err(_) => Err(self.record_loss(&format!("not done within {} s", STORE_TIMEOUT.as_secs()))),
        }
    }

    /// Counts a correction that could not be stored, and logs a warning at most once a minute. Returns the error for
    /// the client, which has no address and no path.
    fn record_loss(&mut self, reason: &str) -> ServeError {
        self.lost += 1;
        if self.last_warning.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            tracing::warn!(place = %self.store.location(), reason, lost = self.lost, "corrections cannot be stored");
            (self.last_warning, self.lost) = (Some(Instant::now()), 0);
        }
        let message = "the correction could not be stored: the store does not respond or refuses to write; try \
                       again later (the server's log says why)";
        ServeError::new(ErrorCode::Unavailable, message)
    }
}

/// Decodes a picture to check it. A training of digits reads it as `mnist::digit` does, and leaves out what shows none or
/// several. Returns its SHA-256 in hexadecimal, and its format.
fn check_picture(picture: &[u8], limits: Limits, reads_digits: bool) -> Result<(String, Format), ServeError> {
    let format = Format::of(picture)?;
    let decoded = decode(picture, &limits)?;
    if reads_digits {
        mnist::digit(decoded.view()).map_err(|error| ServeError::invalid(error.to_string()))?;
    }
    let hex = Sha256::digest(picture).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
        hex
    });
    Ok((hex, format))
}

fn extension(format: Format) -> &'static str {
    match format {
        Format::Png => "png",
        Format::Jpeg => "jpg",
        Format::WebP => "webp",
        Format::Gif => "gif",
        Format::Bmp => "bmp",
    }
}
