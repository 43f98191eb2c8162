//! Discards the rest of a request body that a handler did not read. Otherwise, a client that is still sending would see
//! a closed connection instead of the response.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::wake_filter::without_wakes;

/// Most bytes that are discarded before the response is sent. The connection of a client that sends more is closed.
const MOST_DISCARDED: usize = 128 << 20;

/// Longest time for discarding.
const LONGEST_DISCARD: Duration = Duration::from_secs(5);

/// A request's body. If it is dropped before its end, the rest moves to its [`UnreadBody`].
#[derive(Debug)]
pub(in crate::http) struct TrackedBody {
    body: Option<Incoming>,
    rest: UnreadBody,
}

/// The part of a body that the handler did not read.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct UnreadBody(Arc<Mutex<Option<Incoming>>>);

impl TrackedBody {
    pub(in crate::http) fn new(body: Incoming) -> (Self, UnreadBody) {
        let rest = UnreadBody::default();
        (Self { body: Some(body), rest: rest.clone() }, rest)
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let (frame, woke) = without_wakes(|| Pin::new(&mut *body).poll_frame(context));
        // After the last chunk, the connection has nothing to read for this body, so the wake-up is dropped.
        if woke && !(frame.is_ready() && body.is_end_stream()) {
            context.waker().wake_by_ref();
        }
        let frame = ready!(frame);
        if !matches!(frame, Some(Ok(_))) {
            self.body = None; // ended or failed: nothing is left to read
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

impl UnreadBody {
    /// Reads and discards the rest, within the limits. Returns whether the connection can serve another request.
    pub(in crate::http) async fn discard(self) -> bool {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = rest else { return true };
        let discard = async {
            let mut discarded = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                discarded += frame.data_ref().map_or(0, Bytes::len);
                if discarded > MOST_DISCARDED {
                    return false;
                }
            }
            true
        };
        timeout(LONGEST_DISCARD, discard).await.unwrap_or(false)
    }
}
