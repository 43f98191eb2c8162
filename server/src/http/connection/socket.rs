//! A connection's socket. It sends a short response with one plain `send`, which is faster than `writev`.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest response, in bytes, whose parts are copied together and sent with `send`. The kernel takes noticeably longer
/// for `writev`, even of one buffer.
const LONGEST_COPIED: usize = 1024;

/// The first bytes of a connection, up to the length of HTTP/2's preface. They tell the protocol.
pub(in crate::http) type Start = SmallVec<[u8; 24]>;

/// A socket that joins the headers and the body of a short response into one write, which with TLS is one record too.
#[derive(Debug)]
pub(in crate::http) struct Socket<S> {
    stream: S,
    /// Bytes that were read already to detect the protocol. Readers get them first.
    start: Start,
}

impl<S> Socket<S> {
    pub(in crate::http) fn new(stream: S, start: Start) -> Self {
        Self { stream, start }
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Reads from `start`, and then what has arrived after it, as far as the buffer has room.
    #[cold]
    fn poll_start(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.start.len().min(buffer.remaining());
        buffer.put_slice(&self.start[..length]);
        self.start.drain(..length);
        if !self.start.is_empty() || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.start.is_empty() {
            return self.poll_start(context, buffer);
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        match slices {
            [bytes] => stream.poll_write(context, bytes),
            _ if slices.iter().map(|slice| slice.len()).sum::<usize>() <= LONGEST_COPIED => {
                let mut whole = SmallVec::<[u8; LONGEST_COPIED]>::new();
                for slice in slices {
                    whole.extend_from_slice(slice);
                }
                stream.poll_write(context, &whole)
            }
            _ => stream.poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn bytes_that_were_read_already_come_first() {
        for room in [1, 3, 4, 5, 7, 100] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut server = Socket::new(listener.accept().await.unwrap().0, Start::from_slice(b"GET "));
            let (mut read, mut piece) = (Vec::new(), vec![0; room]);
            while read.len() < 4 {
                let length = server.read(&mut piece).await.unwrap();
                read.extend_from_slice(&piece[..length]);
            }
            client.write_all(b"/v2").await.unwrap();
            drop(client);
            server.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, b"GET /v2", "{room}");
        }
    }

    #[tokio::test]
    async fn bytes_written_from_several_buffers_arrive_in_order() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut server = Socket::new(listener.accept().await.unwrap().0, Start::new());
        for lengths in
            [&[3][..], &[0, 3], &[200, 0, 100], &[LONGEST_COPIED - 1, 1], &[LONGEST_COPIED, 1], &[5000, 5000]]
        {
            let bytes: Vec<u8> = (0..lengths.iter().sum()).map(|index: usize| index as u8).collect();
            let mut rest = &bytes[..];
            let slices = lengths.iter().map(|&length| {
                let (slice, after) = rest.split_at(length);
                rest = after;
                IoSlice::new(slice)
            });
            let written = server.write_vectored(&slices.collect::<Vec<_>>()).await.unwrap();
            let mut received = vec![0; written];
            client.read_exact(&mut received).await.unwrap();
            assert_eq!((written, &received), (bytes.len(), &bytes));
        }
    }
}
