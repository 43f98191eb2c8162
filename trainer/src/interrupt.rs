//! Ctrl-C during training. The first one asks the training to stop and keep its best weights, the second one ends the
//! program at once.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::console;

/// The error of a training that Ctrl-C stopped. The best weights so far have been saved.
#[derive(Debug, Error)]
pub enum Interrupted {
    /// At least one epoch was complete.
    #[error(
        "stopped after epoch {epochs} of {planned}; the best weights so far, of epoch {chosen}, are in {}.\n\
         To go on with them:\n  {}", weights.display(), next.join("\n  ")
    )]
    Kept {
        /// Number of complete epochs.
        epochs: usize,
        /// Number of epochs that were planned.
        planned: usize,
        /// The epoch whose weights were saved.
        chosen: usize,
        /// The file with the weights.
        weights: PathBuf,
        /// The commands that turn the weights into a model.
        next: Vec<String>,
    },
    /// No epoch was complete.
    #[error("stopped before the first epoch was over: there are no weights to keep")]
    Nothing,
}

/// Handles Ctrl-C while it exists. Without it, Ctrl-C ends the program at once.
#[derive(Debug)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the user pressed Ctrl-C.
    stop_requested: AtomicBool,
    /// Whether the training has ended, so that Ctrl-C ends the program at once.
    training_over: AtomicBool,
}

impl Interrupt {
    /// Starts to handle Ctrl-C.
    ///
    /// # Errors
    /// When the system refuses the thread or the signal handler.
    pub fn listen() -> Result<Self> {
        let state = Arc::new(State::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            // Installed here and not on the thread below, so that it is in place before the training starts.
            let _guard = runtime.enter();
            signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?
        };
        let heard = Arc::clone(&state);
        let listen = move || {
            runtime.block_on(async {
                while signals.recv().await.is_some() {
                    heard.interrupt();
                }
            });
        };
        std::thread::Builder::new().name("ctrl-c".into()).spawn(listen)?;
        Ok(Self { state })
    }

    /// Whether the user asked to stop.
    pub fn stop_requested(&self) -> bool {
        self.state.stop_requested.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.state.training_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "a second Ctrl-C ends the program at once")]
    fn interrupt(&self) {
        if self.training_over.load(Ordering::Relaxed) || self.stop_requested.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // On a terminal, the current line holds the progress bar and an echoed ^C.
        let start = if std::io::stderr().is_terminal() { "\n" } else { "" };
        console::progress(&format!(
            "{start}stopping with the best weights so far; Ctrl-C again ends at once"
        ));
    }
}
