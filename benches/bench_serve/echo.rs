//! The floor: a bare axum server that reads the body of a request and sends a fixed response. No server built with axum
//! and hyper can take less time.

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

/// Serves on a free loopback port until the process is killed. Writes its address to standard output. Before each
/// response it keeps its core busy for `work`.
///
/// # Errors
/// The runtime or the socket cannot be created.
pub(crate) fn serve(threads: usize, work: Duration) -> anyhow::Result<()> {
    // The same runtime as that of `decima-server`.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let listener = listener.tap_io(|stream| {
            // The same socket option as in `decima-server`. It fails on a connection that has just ended, which does
            // not need it.
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
