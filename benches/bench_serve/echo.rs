//! The floor: a bare axum server that reads a request's body and answers with fixed bytes. No server built on
//! the same parts can be cheaper.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    serve::{Listener as _, ListenerExt as _},
};
use benches::response;
use bytes::Bytes;

/// Serves on a free port of this machine, which it writes to standard output, until it is killed. Before each answer it
/// keeps its core busy for `work`.
///
/// # Errors
/// No runtime or no socket can be had.
pub(crate) fn serve(threads: usize, work: Duration) -> anyhow::Result<()> {
    // As `decima-server` makes its runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let listener = listener.tap_io(|stream| {
            // As `decima-server` has it. A stream that has just ended cannot take it, and needs it no more.
            let _ended = stream.set_nodelay(true);
        });
        let answer =
            oip::encode_response(&response(1), &[true]).context("the answer cannot be written")?.body();
        let router = Router::new()
            .fallback(move |_body: Bytes| {
                let start = Instant::now();
                while start.elapsed() < work {}
                std::future::ready(answer.clone())
            })
            .layer(DefaultBodyLimit::disable());
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}
