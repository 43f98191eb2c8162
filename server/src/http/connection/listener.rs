//! Accepting connections: HTTP/1.1 and HTTP/2 (h2c) on one port, bounded in number and in patience.

use std::{
    convert::Infallible,
    io,
    net::{self, SocketAddr},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{HeaderValue, Response, Version, header};
use http_body::Body as _;
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    body_drain::TrackedBody,
    socket::{Socket, Start},
    timer::ConnectionTimer,
    wake_filter::WakeFilter,
};
use crate::platform::workers::Workers;

/// Heads larger than this are refused; a request for inference has a few hundred bytes of them.
pub(in crate::http) const MAX_HEAD_BYTES: usize = 64 << 10;

/// Pause after the system refuses a connection (out of file descriptors): it would refuse the next one too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every HTTP/2 connection starts with (RFC 9113, 3.4); no method of HTTP/1.1 starts like it.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is read at once of an HTTP/2 connection. h2's own buffer is often full half way through a request, and then
/// the system is asked twice.
const HTTP2_READ_BYTES: usize = 16 << 10;

/// A bound socket, and how its connections are kept.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    connections: Arc<Semaphore>,
    keep_alive: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// When a listener changes its ways.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// Once it is true, answers ask HTTP/1.1 clients to close their connections. Every answer looks at it.
    pub draining: Arc<AtomicBool>,
    /// The socket closes, connections end after the requests in flight.
    pub closing: CancellationToken,
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
        let mut http1 = http1::Builder::new();
        http1.header_read_timeout(keep_alive).max_buf_size(MAX_HEAD_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive)
            // More than is answered, so that a head over the limit can be told so.
            .max_header_list_size(4 * MAX_HEAD_BYTES as u32)
            .max_concurrent_streams(http2_max_streams);
        let connections = Arc::new(Semaphore::new(max_connections.get().min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket, connections, keep_alive, http1, http2 })
    }

    /// The address that it is bound to, with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Has `respond` respond to requests on `workers` until `phases.closing`, then closes the socket and lets requests in
    /// flight finish. What is left when the future is dropped ends with the process.
    pub async fn serve<R, F>(self, respond: R, phases: Phases, workers: Workers)
    where
        R: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        while let Some((stream, permit)) = self.next(&phases.closing).await {
            let (respond, phases, watcher) = (respond.clone(), phases.clone(), graceful.watcher());
            let (mut http1, http2, keep_alive) = (self.http1.clone(), self.http2.clone(), self.keep_alive);
            http1.timer(ConnectionTimer::default());
            workers.spawn(async move {
                let _permit = permit;
                let Ok(mut stream) = TcpStream::from_std(stream) else { return };
                let start = tokio::select! {
                    () = phases.closing.cancelled() => return,
                    start = timeout(keep_alive, start_of(&mut stream)) => start,
                };
                let Ok(Ok(start)) = start else { return };
                let is_http2 = *start == *HTTP2_PREFACE;
                // hyper moves the future about, ten times for each request of HTTP/2, and its kilobytes with it.
                let service = service_fn(move |request| {
                    Box::pin(serve_one(respond.clone(), request, Arc::clone(&phases.draining)))
                });
                let socket = Socket::new(stream, start);
                let ended = if is_http2 {
                    let io = TokioIo::new(BufReader::with_capacity(HTTP2_READ_BYTES, socket));
                    watcher.watch(http2.serve_connection(io, service)).await
                } else {
                    // HTTP/2's streams have tasks of their own, which wake the connection's for good reason.
                    let io = TokioIo::new(socket);
                    WakeFilter::new(watcher.watch(http1.serve_connection(io, service))).await
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                }
            });
        }
        drop(self.socket);
        graceful.shutdown().await;
    }

    async fn next(&self, stop: &CancellationToken) -> Option<(net::TcpStream, OwnedSemaphorePermit)> {
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
    async fn accept(&self) -> io::Result<(net::TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.socket.accept().await?;
        Ok((stream.into_std()?, permit)) // for the runtime of a worker
    }
}

/// Reads the first bytes of a connection, until they are what HTTP/2 starts with, or can no longer become that. It waits
/// for bytes and for nothing else, so that a client which sends some and no more costs no work.
async fn start_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Start> {
    let mut start = Start::new();
    while start.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&start) {
        let mut bytes = [0; HTTP2_PREFACE.len()];
        let length = stream.read(&mut bytes[start.len()..]).await?;
        if length == 0 {
            break; // closed: hyper knows what to make of what there is
        }
        let from = start.len();
        start.extend_from_slice(&bytes[from..from + length]);
    }
    Ok(start)
}

async fn serve_one<F: Future<Output = Response<Body>>>(
    respond: impl Fn(Request<Body>) -> F,
    request: Request<Incoming>,
    draining: Arc<AtomicBool>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let closable = head.version <= Version::HTTP_11;
    let (body, rest) = if body.is_end_stream() {
        (Body::empty(), None)
    } else {
        let (watched, rest) = TrackedBody::new(body);
        (Body::new(watched), Some(rest))
    };
    let mut response = respond(Request::from_parts(head, body)).await;
    let reusable = match rest {
        Some(rest) => rest.discard().await,
        None => true,
    };
    if closable && (!reusable || draining.load(Ordering::Relaxed)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
