//! Corrections: pictures with their right labels, from users who saw the model err. The server stores them where a
//! later training reads them.
//!
//! Any client may send corrections, so everything is bounded: corrections per minute and bytes in all (`Budget`), the
//! size of a picture, and how many corrections wait for the one task that decodes and stores them ([`Writer`]).

mod budget;
mod names;
mod writer;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use pictures::Limits;
use storage::{Settings, StorageError, Store};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::budget::Budget;
pub use self::writer::Writer;
use crate::{
    config,
    error::{ErrorCode, ServeError},
};

/// Largest encoded picture, in bytes. A phone's photograph fits after scaling down, and a drawing has a few kilobytes.
pub const MAX_PICTURE_BYTES: usize = 1 << 20;

/// Most corrections that wait to be stored. Each keeps its picture in memory.
const MOST_WAITING: usize = 16;

/// Longest wait of a correction for its turn, and then longest time to store it.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The right class of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// A class by its name. If no class has this name, digits count as an index.
    Name(String),
    /// A class by its index.
    Index(u64),
}

/// A picture with its right label.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Name of the model that answered.
    pub model: String,
    /// Version of the model; `None` for the newest that is ready.
    pub version: Option<String>,
    /// The right class.
    pub label: Label,
    /// The encoded picture, as the client sent it.
    pub picture: Bytes,
}

/// The model that a correction is about.
#[derive(Clone, Copy, Debug)]
pub struct Corrected<'a> {
    /// Its name.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Names of its classes, by index.
    pub labels: &'a [String],
    /// Whether it reads digits, so that a picture must show one and no more.
    pub reads_digits: bool,
}

/// Why a correction was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error.
    pub error: ServeError,
    /// How long to wait before another try; `None` for the usual time of the error's kind.
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
    reads_digits: bool,
    picture: Bytes,
    arrived: Instant,
    done: oneshot::Sender<Result<String, ServeError>>,
}

/// Accepts corrections and hands them to the [`Writer`].
#[derive(Debug)]
pub struct Feedback {
    jobs: mpsc::Sender<Job>,
    budget: Arc<Budget>,
}

/// Opens the place for corrections. Returns the half that accepts them and the half that stores them, whose
/// [`Writer::run`] must run as a task; `None` if `--feedback` names no place. Pictures beyond `limits` are refused.
///
/// # Errors
/// The settings of the store are wrong.
pub fn open(
    config: &config::Feedback,
    store: &Settings,
    limits: Limits,
) -> Result<Option<(Feedback, Writer)>, StorageError> {
    let Some(place) = &config.place else { return Ok(None) };
    let store = Store::open(place, &Settings { deadline: STORE_TIMEOUT, ..store.clone() })?;
    let budget = Arc::new(Budget::new(config.per_minute, config.max_bytes as u64));
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let writer = Writer::new(receiver, store, Arc::clone(&budget), limits);
    Ok(Some((Feedback { jobs: sender, budget }, writer)))
}

impl Feedback {
    /// Stores a correction, and returns its name in the store. It is stored as a whole or not at all, even if the
    /// caller stops waiting.
    ///
    /// # Errors
    /// The label is none of the model's; the body is no picture, or too large a one, or not one of one digit where the
    /// model reads digits; there are too many corrections; or the store fails.
    pub async fn store(&self, corrected: Corrected<'_>, correction: Correction) -> Result<String, Refusal> {
        let Corrected { model, version, labels, reads_digits } = corrected;
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
            reads_digits,
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
fn check_size(bytes: usize) -> Result<(), ServeError> {
    if bytes <= MAX_PICTURE_BYTES {
        return Ok(());
    }
    let message = format!("the picture has {bytes} bytes, more than {MAX_PICTURE_BYTES}: scale it down");
    Err(ServeError::new(ErrorCode::PayloadTooLarge, message))
}

fn stopping() -> ServeError {
    ServeError::new(ErrorCode::Unavailable, "the server is stopping: it stores no more corrections")
}
