//! Asynchronous work (stores, clusters) from commands that wait for it.

use anyhow::Result;

/// Waits for work, on a runtime of its own.
///
/// # Errors
/// Those of the work, and when the system gives no files for a runtime.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
