//! Reads the files of access and TLS again when they change, or at once when the process gets SIGHUP.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

use super::{Access, AccessError, Tls};
use crate::platform::workers;

/// How often the files are looked at. They are small, and a renewed certificate has days to take over.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps what was read from files in step with them.
#[derive(Clone, Debug)]
pub struct Reloader {
    access: Arc<Access>,
    tls: Option<Arc<Tls>>,
}

impl Reloader {
    /// Makes a reloader of these files.
    pub fn new(access: Arc<Access>, tls: Option<Arc<Tls>>) -> Self {
        Self { access, tls }
    }

    /// Reads the files again every few seconds, and whenever `hangup` arrives. Never ends.
    pub async fn run(self, mut hangup: Signal) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let has_files = self.tls.is_some() || self.access.tokens().next().is_some();
        let mut former = Vec::new();
        loop {
            tokio::select! {
                _ = ticks.tick(), if has_files => {}
                received = hangup.recv() => {
                    if received.is_none() {
                        return; // the runtime ends
                    }
                    tracing::info!("SIGHUP: reading the files of access and TLS again");
                    former.clear(); // an error is worth another line
                }
            }
            let files = self.clone();
            former = workers::run_blocking(move || files.reload(&former)).await;
        }
    }

    /// Reads every file again. Logs what changed, and errors that are not among `former`. Returns the errors.
    fn reload(&self, former: &[AccessError]) -> Vec<AccessError> {
        let tokens = self.access.tokens().map(|tokens| (tokens.path(), tokens.reload()));
        let tls = self.tls.iter().map(|tls| (tls.path(), tls.reload()));
        let mut errors = Vec::new();
        for (path, result) in tokens.chain(tls) {
            match result {
                Ok(true) => tracing::info!(file = %path.display(), "read again: it has changed"),
                Ok(false) => {}
                Err(error) => {
                    if !former.contains(&error) {
                        tracing::error!("{error}; what was read before stays in force");
                    }
                    errors.push(error);
                }
            }
        }
        errors
    }
}

impl AccessError {
    /// Makes the error of a file.
    pub(super) fn new(setting: &'static str, path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self { setting, path: path.into(), reason: reason.into() }
    }
}
