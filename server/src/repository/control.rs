//! Requests to load and unload models. They go to the task that owns the repository, which executes them one after
//! another, and never while it polls for changes.

use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorCode, ServeError};

/// Most commands that wait for their turn.
const MOST_WAITING: usize = 64;

/// The operation of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Load,
    Unload,
}

/// A command to the repository, and the channel for its result.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) verb: Verb,
    pub(super) model: String,
    pub(super) done: oneshot::Sender<Result<(), ServeError>>,
}

/// The end of the channel from which the repository receives commands.
#[derive(Debug)]
pub struct Commands(pub(super) mpsc::Receiver<Command>);

/// Sends commands to the repository: loads and unloads models by name.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Command>);

/// Makes a channel for commands to a repository.
pub fn control() -> (Control, Commands) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    (Control(sender), Commands(receiver))
}

impl Control {
    /// Loads this model from the repositories, and returns when it is ready. The load goes on even if the caller stops
    /// waiting.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`]; [`ErrorCode::Unavailable`] if a store does not respond or the server is stopping;
    /// [`ErrorCode::Internal`] if the model cannot be loaded; [`ErrorCode::Overloaded`] if too many commands wait.
    pub async fn load(&self, model: &str) -> Result<(), ServeError> {
        self.ask(Verb::Load, model).await
    }

    /// Unloads this model.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], [`ErrorCode::Unavailable`] and [`ErrorCode::Overloaded`], as for [`Control::load`].
    pub async fn unload(&self, model: &str) -> Result<(), ServeError> {
        self.ask(Verb::Unload, model).await
    }

    async fn ask(&self, verb: Verb, model: &str) -> Result<(), ServeError> {
        let (done, result) = oneshot::channel();
        let command = Command { verb, model: model.to_owned(), done };
        self.0.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ServeError::new(
                ErrorCode::Overloaded,
                format!("{MOST_WAITING} requests to load or unload models wait already"),
            ),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        result.await.unwrap_or_else(|_| Err(stopping()))
    }
}

fn stopping() -> ServeError {
    ServeError::new(ErrorCode::Unavailable, "the server is stopping: it loads and unloads no more models")
}
