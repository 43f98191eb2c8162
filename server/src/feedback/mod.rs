//! Corrections: a picture with its right answer, from somebody who knows better than the model. They are stored where a
//! later training reads them.
//!
//! Anybody who reaches the server may send one, so everything is bounded: pictures a minute and bytes in all (`Budget`),
//! the size of a picture, and how many wait for the one task that decodes and stores them ([`Keeper`]).

mod budget;
mod keeper;
mod names;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use pictures::Limits;
use storage::{Settings, StorageError, Store};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::budget::Budget;
pub use self::keeper::Keeper;
use crate::{
    config,
    error::{ErrorCode, ServeError},
};

/// Largest picture. A photograph of a phone fits when it was scaled down, and a drawing has a few kilobytes.
pub const MAX_PICTURE_BYTES: usize = 1 << 20;

/// Corrections that may wait for their turn; each holds its picture.
const MOST_WAITING: usize = 16;

/// How long a correction may wait for its turn, and then how long the store may take for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody says is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// A class by its name, or else by its index in digits.
    Name(String),
    /// A class by its index.
    Index(u64),
}

/// A picture with its right answer.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Which model was wrong, or right.
    pub model: String,
    /// Which version of it; `None` for the newest that is ready.
    pub version: Option<String>,
    /// The right answer.
    pub label: Label,
    /// The picture, encoded, as it came.
    pub picture: Bytes,
}

/// The model that is corrected.
#[derive(Clone, Copy, Debug)]
pub struct Corrected<'a> {
    /// Its name.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Names of its classes, by index.
    pub labels: &'a [String],
}

/// Why a correction was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error.
    pub error: ServeError,
    /// How long to wait before another try, where that is known better than the error's kind has it.
    pub wait: Option<Duration>,
}

impl From<ServeError> for Refusal {
    fn from(error: ServeError) -> Self {
        Self { error, wait: None }
    }
}

/// A correction on its way to the task that stores it.
#[derive(Debug)]
struct Job {
    label: String,
    /// The folder of the label.
    folder: String,
    model: String,
    version: String,
    picture: Bytes,
    arrived: Instant,
    done: oneshot::Sender<Result<String, ServeError>>,
}

/// Takes corrections.
#[derive(Debug)]
pub struct Feedback {
    jobs: mpsc::Sender<Job>,
    budget: Arc<Budget>,
}

/// The taker of corrections and the task that stores them, which must run for it; `None` where they are not wanted. A
/// picture beyond `limits` is refused.
///
/// # Errors
/// Settings of the store that cannot be used.
pub fn open(
    config: &config::Feedback,
    store: &Settings,
    limits: Limits,
) -> Result<Option<(Feedback, Keeper)>, StorageError> {
    let Some(place) = &config.place else { return Ok(None) };
    let store = Store::open(place, &Settings { deadline: PATIENCE, ..store.clone() })?;
    let budget = Arc::new(Budget::new(config.per_minute, config.max_bytes as u64));
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let keeper = Keeper::new(receiver, store, Arc::clone(&budget), limits);
    Ok(Some((Feedback { jobs: sender, budget }, keeper)))
}

impl Feedback {
    /// Stores a correction, and returns the name under which it lies. It is stored whole or not at all, also when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// A label that is none of the model's, what is no picture, or one that is too large; too many; or a store that does
    /// not take it.
    pub async fn store(&self, corrected: Corrected<'_>, correction: Correction) -> Result<String, Refusal> {
        let Corrected { model, version, labels } = corrected;
        let Correction { label, picture, .. } = correction;
        let class = names::class(&label, labels, model)?;
        check_size(picture.len())?;
        self.budget.take(Instant::now(), picture.len() as u64)?;
        let (done, answer) = oneshot::channel();
        let job = Job {
            folder: names::folder(&labels[class], class),
            label: labels[class].clone(),
            model: model.to_owned(),
            version: version.to_owned(),
            picture,
            arrived: Instant::now(),
            done,
        };
        self.jobs.try_send(job).map_err(|error| {
            let (mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job)) = &error;
            self.budget.give_back(job.picture.len() as u64);
            match error {
                mpsc::error::TrySendError::Full(_) => ServeError::new(
                    ErrorCode::Overloaded,
                    format!("{MOST_WAITING} corrections wait to be stored already: try again later"),
                ),
                mpsc::error::TrySendError::Closed(_) => stopping(),
            }
        })?;
        Ok(answer.await.unwrap_or_else(|_| Err(stopping()))?)
    }
}

/// Refuses a picture that is too large.
///
/// # Errors
/// [`ErrorCode::PayloadTooLarge`].
pub fn check_size(bytes: usize) -> Result<(), ServeError> {
    if bytes <= MAX_PICTURE_BYTES {
        return Ok(());
    }
    let message = format!("the picture has {bytes} bytes, more than {MAX_PICTURE_BYTES}: scale it down");
    Err(ServeError::new(ErrorCode::PayloadTooLarge, message))
}

fn stopping() -> ServeError {
    ServeError::new(ErrorCode::Unavailable, "the server is stopping: it stores no more corrections")
}
