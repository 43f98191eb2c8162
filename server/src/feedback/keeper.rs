//! The one task that looks at corrections and stores them, one after the other.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use pictures::decode::{Format, Limits, decode};
use serde_json::json;
use sha2::{Digest, Sha256};
use storage::{Location, Store};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{Budget, Job, PATIENCE};
use crate::error::{ErrorCode, ServeError};

/// Shortest time between two warnings that corrections are lost.
const PAUSE: Duration = Duration::from_mins(1);

/// Decodes corrections, so that nothing but pictures is kept, and stores them.
#[derive(Debug)]
pub struct Keeper {
    jobs: mpsc::Receiver<Job>,
    store: Store,
    budget: Arc<Budget>,
    limits: Limits,
    complained: Option<Instant>,
    /// Corrections that were lost since then.
    lost: u64,
}

impl Keeper {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, store: Store, budget: Arc<Budget>, limits: Limits) -> Self {
        Self { jobs, store, budget, limits, complained: None, lost: 0 }
    }

    /// Where corrections are stored.
    pub fn place(&self) -> &Location {
        self.store.location()
    }

    /// Stores what comes, until nobody can send any more.
    pub async fn run(mut self) {
        while let Some(mut job) = self.jobs.recv().await {
            let bytes = job.picture.len() as u64;
            let stored = self.keep(&mut job).await;
            if stored.is_err() {
                self.budget.give_back(bytes);
            }
            // The client may have gone away.
            let _told = job.done.send(stored);
        }
    }

    async fn keep(&mut self, job: &mut Job) -> Result<String, ServeError> {
        if job.arrived.elapsed() > PATIENCE {
            return Err(self.lose("the store takes longer than corrections come"));
        }
        let picture = job.picture.clone();
        // Not by `workers::run_blocking`: a decoder that panics fails its own picture, and not this task.
        let limits = self.limits;
        let looked = spawn_blocking(move || look(&picture, limits)).await;
        let (sha256, format) = looked.map_err(|_| ServeError::invalid("the picture cannot be decoded"))??;
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
            // The picture comes last: a reader ignores a description without a picture.
            self.store.put(&format!("{name}.json"), about).await?;
            self.store.put(&key, job.picture.clone()).await
        };
        match timeout(PATIENCE, put).await {
            Ok(Ok(())) => Ok(key),
            Ok(Err(error)) => Err(self.lose(&error.to_string())),
            Err(_) => Err(self.lose(&format!("not done within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Counts a lost correction, and warns at most once a minute. The error for the client has no address and no path.
    fn lose(&mut self, reason: &str) -> ServeError {
        self.lost += 1;
        if self.complained.is_none_or(|last| last.elapsed() >= PAUSE) {
            tracing::warn!(place = %self.store.location(), reason, lost = self.lost, "corrections cannot be stored");
            (self.complained, self.lost) = (Some(Instant::now()), 0);
        }
        let message = "the correction could not be stored: the place for them does not answer or takes nothing; try \
                       again later (the server's log says why)";
        ServeError::new(ErrorCode::Unavailable, message)
    }
}

/// The SHA-256 of a picture in hexadecimal, and its format; all of it is decoded to see that it is one.
fn look(picture: &[u8], limits: Limits) -> Result<(String, Format), ServeError> {
    let format = Format::of(picture)?;
    decode(picture, &limits)?;
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
