//! A TCP proxy in front of the store that breaks connections on demand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::Location;
use storage::testkit::Minio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What happens to a connection after a number of bytes from the server.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The proxy closes it.
    CutAfter(usize),
    /// It stays open, but no more bytes arrive.
    StallAfter(usize),
}

pub(crate) struct Proxy {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts a proxy whose first connections have these faults. Later connections work.
    pub(crate) async fn start(minio: &Minio, faults: Vec<Fault>) -> Self {
        Self::run(minio.port(), move |n| faults.get(n).copied(), Arc::new(|| Box::pin(async {}))).await
    }

    /// Starts a proxy in front of another one. Its first connections have these faults.
    pub(crate) async fn to(next: &Self, faults: Vec<Fault>) -> Self {
        Self::run(next.port, move |n| faults.get(n).copied(), Arc::new(|| Box::pin(async {}))).await
    }

    /// Starts a proxy whose connections all have the same fault.
    pub(crate) async fn always(minio: &Minio, fault: Fault) -> Self {
        Self::run(minio.port(), move |_| Some(fault), Arc::new(|| Box::pin(async {}))).await
    }

    /// Starts a proxy that runs `hook` before it forwards a request for an object.
    pub(crate) async fn before_get<F>(minio: &Minio, hook: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::run(minio.port(), |_| None, Arc::new(move || Box::pin(hook()))).await
    }

    async fn run(
        target: u16,
        fault: impl Fn(usize) -> Option<Fault> + Send + 'static,
        before_get: Hook,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let fault = fault(counter.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(pass(client, server, fault, before_get.clone()));
            }
        });
        Self { port, connections }
    }

    /// The location of `bucket/prefix`, through the proxy.
    pub(crate) fn location(&self, path: &str) -> Location {
        format!("s3://http://127.0.0.1:{}/{path}", self.port).parse().unwrap()
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: TcpStream, fault: Option<Fault>, before_get: Hook) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = tokio::spawn(async move {
        let mut request = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut request).await {
            let line = request[..count].split(|byte| *byte == b'\r').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            if line.starts_with("GET ") && !line.contains("list-type") {
                before_get().await;
            }
            if to_server.write_all(&request[..count]).await.is_err() {
                break;
            }
        }
    });
    let limit = match fault {
        None => usize::MAX,
        Some(Fault::CutAfter(limit) | Fault::StallAfter(limit)) => limit,
    };
    let mut answer = vec![0; 16 * 1024];
    let mut passed = 0;
    while passed < limit {
        let Ok(count @ 1..) = from_server.read(&mut answer).await else { break };
        let count = count.min(limit - passed);
        if to_client.write_all(&answer[..count]).await.is_err() {
            break;
        }
        passed += count;
    }
    match fault {
        // stays open until the client closes it
        Some(Fault::StallAfter(_)) => requests.await.unwrap_or_default(),
        _ => requests.abort(),
    }
}
