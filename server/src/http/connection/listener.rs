//! Accepts connections of HTTP/1.1 and HTTP/2 on one port, with or without TLS, with limits on their number and idle
//! time.

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
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    body_drain::TrackedBody,
    socket::{Socket, Start},
    timer::ConnectionTimer,
    wake_filter::WakeFilter,
};
use crate::{
    access::{Peer, Tls},
    platform::workers::Workers,
};

/// Largest headers of a request, in bytes. An inference request has a few hundred.
pub(in crate::http) const MAX_HEAD_BYTES: usize = 64 << 10;

/// Pause after the system refused a connection, for example without file descriptors left. It would refuse the next one
/// too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take for the TLS handshake, which needs two or three round trips.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first bytes of every HTTP/2 connection (RFC 9113, 3.4). No HTTP/1.1 request starts like this.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Size of the read buffer of an HTTP/2 connection, in bytes. h2's own buffer is often full in the middle of a request,
/// which would cost a second system call.
const HTTP2_READ_BYTES: usize = 16 << 10;

/// A bound socket, and the limits of its connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// The server's certificate; `None`: connections are not encrypted.
    tls: Option<Arc<Tls>>,
    connections: Arc<Semaphore>,
    keep_alive: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// Signals that tell a listener to drain and to close.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// Once true, each response asks its HTTP/1.1 client to close the connection.
    pub draining: Arc<AtomicBool>,
    /// Once cancelled, the socket closes, and connections end after their requests in flight.
    pub closing: CancellationToken,
}

impl Listener {
    /// Binds `address`. Connections that are idle for `keep_alive` are closed.
    ///
    /// # Errors
    /// The address is in use, or is not one of this machine's.
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
            // More than the limit, so that the server can respond to slightly larger headers with an error.
            .max_header_list_size(4 * MAX_HEAD_BYTES as u32)
            .max_concurrent_streams(http2_max_streams);
        let connections = Arc::new(Semaphore::new(max_connections.get().min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket, tls: None, connections, keep_alive, http1, http2 })
    }

    /// Encrypts connections with this certificate.
    #[must_use]
    pub fn with_tls(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// Returns the bound address. If port 0 was requested, it has the port that the system chose.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Calls `respond` with each request and where it comes from, on `workers`, until `phases.closing`. Then closes the socket and lets requests
    /// in flight finish. If the future is dropped, the remaining connections go on until the process ends.
    pub async fn serve<R, F>(self, respond: R, phases: Phases, workers: Workers)
    where
        R: Fn(Request<Body>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        while let Some((stream, permit)) = self.next(&phases.closing).await {
            let connection = Connection {
                respond: respond.clone(),
                phases: phases.clone(),
                watcher: graceful.watcher(),
                keep_alive: self.keep_alive,
                http1: self.http1.clone(),
                http2: self.http2.clone(),
            };
            let tls = self.tls.clone();
            workers.spawn(async move {
                let _permit = permit;
                let Ok(stream) = TcpStream::from_std(stream) else { return };
                let is_loopback =
                    stream.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
                let peer = Peer { is_loopback, has_tls: tls.is_some() };
                match tls {
                    None => connection.serve(stream, peer).await,
                    // Boxed, so that other connections do not carry this large future.
                    Some(tls) => Box::pin(connection.serve_tls(stream, peer, &tls)).await,
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
                    // Responses are small and written at once. Nagle's algorithm would only delay them.
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

    /// Accepts a connection once there is a permit for it. Connections beyond the limit wait in the system's backlog.
    async fn accept(&self) -> io::Result<(net::TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.socket.accept().await?;
        Ok((stream.into_std()?, permit)) // the worker registers it with its own runtime
    }
}

/// A connection that is not served yet.
struct Connection<R> {
    respond: R,
    phases: Phases,
    watcher: Watcher,
    keep_alive: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<R, F> Connection<R>
where
    R: Fn(Request<Body>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn serve_tls(self, stream: TcpStream, peer: Peer, tls: &Tls) {
        let handshake = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls.config()).accept(stream));
        let stream = tokio::select! {
            () = self.phases.closing.cancelled() => return,
            accepted = handshake => accepted,
        };
        match stream {
            Ok(Ok(stream)) => self.serve(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!(limit = ?HANDSHAKE_TIMEOUT, "TLS handshake took too long"),
        }
    }

    async fn serve<S>(self, mut stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { respond, phases, watcher, keep_alive, mut http1, http2 } = self;
        http1.timer(ConnectionTimer::default());
        let start = tokio::select! {
            () = phases.closing.cancelled() => return,
            start = timeout(keep_alive, start_of(&mut stream)) => start,
        };
        let Ok(Ok(start)) = start else { return };
        let is_http2 = *start == *HTTP2_PREFACE;
        // Boxed, since hyper moves the future several times per HTTP/2 request, and it has kilobytes.
        let service = service_fn(move |request| {
            let respond = respond.clone();
            Box::pin(serve_one(move |request| respond(request, peer), request, Arc::clone(&phases.draining)))
        });
        let socket = Socket::new(stream, start);
        let ended = if is_http2 {
            let io = TokioIo::new(BufReader::with_capacity(HTTP2_READ_BYTES, socket));
            watcher.watch(http2.serve_connection(io, service)).await
        } else {
            // Only for HTTP/1.1: HTTP/2's streams are separate tasks, whose wake-ups the connection's task needs.
            let io = TokioIo::new(socket);
            WakeFilter::new(watcher.watch(http1.serve_connection(io, service))).await
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    }
}

/// Reads the first bytes of a connection until it is clear whether they are HTTP/2's preface. A client that sends a
/// part of the preface and then nothing costs no CPU time.
async fn start_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Start> {
    let mut start = Start::new();
    while start.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&start) {
        let mut bytes = [0; HTTP2_PREFACE.len()];
        let length = stream.read(&mut bytes[start.len()..]).await?;
        if length == 0 {
            break; // closed: hyper handles the incomplete request
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
