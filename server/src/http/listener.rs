//! Accepting connections: HTTP/1.1 and HTTP/2 (h2c) on one port, bounded in number and in patience.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Heads larger than this are refused; a request for inference has a few hundred bytes of them.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Pause after the system refuses a connection (out of file descriptors): it would refuse the next one too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket, and how its connections are kept.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    connections: Arc<Semaphore>,
    protocol: auto::Builder<TokioExecutor>,
}

impl Listener {
    /// Binds `address`. A connection that is idle for `keep_alive` is closed.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub async fn bind(
        address: SocketAddr,
        max_connections: NonZeroUsize,
        keep_alive: Duration,
        http2_max_streams: u32,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(keep_alive)
            .max_buf_size(MAX_HEAD_BYTES)
            .pipeline_flush(true);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .max_concurrent_streams(http2_max_streams);
        let connections = Arc::new(Semaphore::new(max_connections.get().min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket, connections, protocol })
    }

    /// The address that it is bound to, with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`, then closes the socket, lets requests in flight finish, and closes their
    /// connections. Dropping the future ends what is left.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        while let Some((stream, permit)) = self.next(&stop).await {
            let router = router.clone();
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                router.clone().oneshot(request.map(Body::new))
            });
            let connection = self.protocol.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                let _permit = permit;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended early");
                }
            });
        }
        drop(self.socket);
        graceful.shutdown().await;
    }

    async fn next(&self, stop: &CancellationToken) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    // Answers are small and written whole: waiting to fill a segment only delays them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    return Some((stream, permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes a permit first: beyond the limit, connections wait in the system's backlog.
    async fn accept(&self) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.socket.accept().await?;
        Ok((stream, permit))
    }
}
