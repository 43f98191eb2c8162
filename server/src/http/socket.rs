//! A connection's socket, on which a short answer is one call that the system answers soonest.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What is rather copied than written from several places: the system takes a sixth longer for `writev` than for
/// `send`, even of one place.
const SHORT: usize = 1024;

/// A socket that writes short answers, which come as a head and a body, from one place.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        match slices {
            [bytes] => stream.poll_write(context, bytes),
            _ if slices.iter().map(|slice| slice.len()).sum::<usize>() <= SHORT => {
                let mut whole = SmallVec::<[u8; SHORT]>::new();
                for slice in slices {
                    whole.extend_from_slice(slice);
                }
                stream.poll_write(context, &whole)
            }
            _ => stream.poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_written_from_several_places_arrives_in_order() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut server = Socket::new(listener.accept().await.unwrap().0);
        for lengths in [&[3][..], &[0, 3], &[200, 0, 100], &[SHORT - 1, 1], &[SHORT, 1], &[5000, 5000]] {
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
