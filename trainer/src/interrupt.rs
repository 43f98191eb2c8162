//! Ctrl-C while a network learns: the first one asks it to stop and keep what it has, the second one ends the
//! program at once.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::console;

/// A training that was stopped by Ctrl-C, after what was worth keeping was kept.
#[derive(Debug, Error)]
pub enum Interrupted {
    /// Some epochs are over.
    #[error(
        "stopped after epoch {epochs} of {planned}; the best weights so far are in {}, from epoch {chosen}.\n\
         To go on with them:\n  {}", weights.display(), next.join("\n  ")
    )]
    Kept {
        /// Epochs that are over.
        epochs: usize,
        /// Epochs that there would have been.
        planned: usize,
        /// The epoch whose weights were kept.
        chosen: usize,
        /// Where they are.
        weights: PathBuf,
        /// The commands that make a model of them.
        next: Vec<String>,
    },
    /// No epoch is over.
    #[error("stopped before the first epoch was over: there are no weights to keep")]
    Nothing,
}

/// Listens for Ctrl-C as long as it lives; without it, Ctrl-C ends the program at once.
#[derive(Debug)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a first Ctrl-C has come.
    asked: AtomicBool,
    /// Whether nobody asks any more.
    over: AtomicBool,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system gives no thread or no signals.
    pub fn listen() -> Result<Self> {
        let state = Arc::new(State::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            // The handler is in place before the training starts.
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

    /// Whether the user wants to stop.
    pub fn asked(&self) -> bool {
        self.state.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "whoever presses Ctrl-C twice wants no more work done")]
    fn interrupt(&self) {
        if self.over.load(Ordering::Relaxed) || self.asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // On a terminal, the line has the bar and what the terminal makes of Ctrl-C.
        let start = if std::io::stderr().is_terminal() { "\n" } else { "" };
        console::progress(&format!(
            "{start}stopping with the best weights so far; Ctrl-C again ends at once"
        ));
    }
}
