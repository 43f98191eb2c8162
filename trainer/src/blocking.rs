//! A bridge from synchronous commands to asynchronous code (object stores, Kubernetes).

use anyhow::Result;

/// Runs a future to its end on a new Tokio runtime, and blocks until then.
///
/// # Errors
/// The future's own error, or the system's if it cannot provide what a runtime needs, such as file descriptors.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
