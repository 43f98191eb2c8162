//! Asking for a model to be loaded or unloaded: questions to the one task that owns the repository, which
//! takes them one after the other, and never while it looks for changes by itself.

use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorCode, ServeError};

/// Questions that may wait for their turn.
const MOST_WAITING: usize = 64;

/// What is asked of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Load,
    Unload,
}

/// A question with the way back to who asked.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) verb: Verb,
    pub(super) model: String,
    pub(super) done: oneshot::Sender<Result<(), ServeError>>,
}

/// Where the repository takes its questions from.
#[derive(Debug)]
pub struct Commands(pub(super) mpsc::Receiver<Command>);

/// Loads and unloads models by name.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Command>);

/// The two ends of the questions to a repository.
pub fn control() -> (Control, Commands) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    (Control(sender), Commands(receiver))
}

impl Control {
    /// Loads what the repositories hold of this model, and returns when it answers. It goes on even when
    /// nobody waits for it any more.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], [`ErrorCode::Unavailable`] where a store does not answer or the server is
    /// stopping, [`ErrorCode::Internal`] where the model cannot be loaded, [`ErrorCode::Overloaded`] where too
    /// many such questions wait.
    pub async fn load(&self, model: &str) -> Result<(), ServeError> {
        self.ask(Verb::Load, model).await
    }

    /// Takes this model out of service.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], [`ErrorCode::Unavailable`], [`ErrorCode::Overloaded`] as [`Control::load`].
    pub async fn unload(&self, model: &str) -> Result<(), ServeError> {
        self.ask(Verb::Unload, model).await
    }

    async fn ask(&self, verb: Verb, model: &str) -> Result<(), ServeError> {
        let (done, answer) = oneshot::channel();
        let command = Command { verb, model: model.to_owned(), done };
        self.0.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ServeError::new(
                ErrorCode::Overloaded,
                format!("{MOST_WAITING} requests to load or unload models wait already"),
            ),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }
}

fn stopping() -> ServeError {
    ServeError::new(ErrorCode::Unavailable, "the server is stopping: it loads and unloads no more models")
}
