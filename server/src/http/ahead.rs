//! Reading ahead for HTTP/2: what has come, in one system call. h2 reads a frame's bytes into a buffer that is often full
//! half way through a request, and asks the system for the other half.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// As much as is read at once; whoever has room for so much reads without this module.
const MOST: usize = 64 << 10;

thread_local! {
    /// One for all connections of a thread: it is empty between two reads.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST].into());
}

/// A connection that is read ahead of whoever reads it.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    io: T,
    /// What was read, and not yet asked for.
    rest: Bytes,
}

impl<T> Ahead<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, rest: Bytes::new() }
    }
}

impl<T: Read + Unpin> Read for Ahead<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            if buffer.remaining() >= MOST {
                return Pin::new(&mut self.io).poll_read(context, buffer);
            }
            return SCRATCH.with_borrow_mut(|scratch| {
                let mut read = ReadBuf::new(scratch);
                ready!(Pin::new(&mut self.io).poll_read(context, read.unfilled()))?;
                let (now, later) = read.filled().split_at(read.filled().len().min(buffer.remaining()));
                buffer.put_slice(now);
                self.rest = Bytes::copy_from_slice(later);
                Poll::Ready(Ok(()))
            });
        }
        let now = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..now]);
        self.rest.advance(now);
        if self.rest.is_empty() {
            self.rest = Bytes::new(); // frees it
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Ahead<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn read(sent: &[Vec<u8>], asked: &[usize]) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = duplex(4 * MOST);
            let mut ahead = TokioIo::new(Ahead::new(TokioIo::new(server)));
            let write = async {
                for piece in sent {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(client);
            };
            let read = async {
                let mut all = Vec::new();
                for &room in asked.iter().cycle() {
                    let mut buffer = vec![0; room];
                    let got = ahead.read(&mut buffer).await.unwrap();
                    if got == 0 {
                        break;
                    }
                    all.extend(&buffer[..got]);
                }
                all
            };
            tokio::join!(write, read).1
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_byte_is_read_once_and_in_order(
            lengths in prop::collection::vec(0..2 * MOST, 0..6),
            asked in prop::collection::vec(prop_oneof![1..100_usize, 1..2 * MOST], 1..6),
        ) {
            let mut next = (0..=250_u8).cycle();
            let sent: Vec<Vec<u8>> = lengths.iter().map(|&length| next.by_ref().take(length).collect()).collect();
            prop_assert!(read(&sent, &asked) == sent.concat());
        }
    }
}
