//! A reason in JSON for heads of HTTP/1.1 that hyper refuses: no handler ever sees them, and there is no hook for
//! the answer, which has an empty body.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};

/// How the refusals of hyper start; every other answer with such a status has a body.
const REFUSED: &[u8] = b"HTTP/1.1 4";

/// What of a refusal is replaced.
const NO_BODY: &str = "content-length: 0\r\n";

/// A connection on which refused heads are explained. All else passes as it is: a write costs one look at its
/// first bytes.
#[derive(Debug)]
pub(super) struct Explained<T> {
    io: T,
    /// Whether the next write starts a message, or at least a piece of one: what was offered before is written.
    at_start: bool,
    /// What is still to be written of an explained refusal.
    rest: Bytes,
}

impl<T> Explained<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, at_start: true, rest: Bytes::new() }
    }

    /// Takes a refusal, to be written with its reason by the next flush.
    fn takes(&mut self, written: &[u8]) -> bool {
        if !self.at_start || !written.starts_with(REFUSED) {
            return false;
        }
        explain(written).is_some_and(|answer| {
            self.rest = answer;
            true
        })
    }

    fn wrote(&mut self, offered: usize, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = written {
            self.at_start = written == offered;
        }
        written
    }
}

impl<T: Write + Unpin> Explained<T> {
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.rest.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Unpin> Read for Explained<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Explained<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.takes(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices
            && self.takes(bytes)
        {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.wrote(slices.iter().map(|slice| slice.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// The same answer with a reason for its body; none if it is not a whole head without a body.
#[cold]
fn explain(refusal: &[u8]) -> Option<Bytes> {
    let head = str::from_utf8(refusal).ok()?;
    let (before, after) = head.split_once(NO_BODY)?;
    if !after.ends_with("\r\n\r\n") {
        return None;
    }
    let reason = match head.split(' ').nth(1)? {
        "414" => "the path is longer than a URI may be (65534 bytes)",
        "431" => "the request has more than 100 headers, or more than 64 KiB of them",
        _ => "this is no request of HTTP/1.1: its first line or one of its headers is malformed",
    };
    let body = oip::error_body(reason);
    let described = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    Some([before.as_bytes(), described.as_bytes(), after.as_bytes(), &body].concat().into())
}
