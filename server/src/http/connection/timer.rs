//! Timers that hardly ever run out. Arming a timer takes a lock of the runtime, and if it becomes the earliest timer,
//! it wakes the runtime's thread, which can cost more than reading a short request. These timers are therefore reused,
//! or armed only if the first poll has to wait.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt;

use crate::grpc;

type Timer = Pin<Box<tokio::time::Sleep>>;

/// The timer of one HTTP/1.1 connection, for hyper's wait for the headers of each request. Once armed, the timer stays
/// armed for later requests too. It is armed again only if it runs out before the current deadline.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct ConnectionTimer(Arc<Mutex<Option<Timer>>>);

impl ConnectionTimer {
    fn timer(&self) -> MutexGuard<'_, Option<Timer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl rt::Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        let timer = self.timer().take();
        let timer = timer.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        Box::pin(Wait { deadline, timer: Some(timer), connection: self.clone() })
    }
}

/// A wait until `deadline`, with a timer that may be armed for an earlier deadline.
#[derive(Debug)]
struct Wait {
    deadline: Instant,
    /// `None` only while it is dropped, when the timer goes back to the connection.
    timer: Option<Timer>,
    connection: ConnectionTimer,
}

impl rt::Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.into();
        let Some(timer) = &mut self.timer else { return Poll::Ready(()) };
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        *self.connection.timer() = self.timer.take();
    }
}

/// The body of a gRPC call with one message. It fails if it does not end within `limit`, counted from the first poll
/// that had to wait.
#[derive(Debug)]
pub(in crate::http) struct BodyTimeout {
    body: Body,
    limit: Duration,
    timer: Option<Timer>,
}

impl BodyTimeout {
    pub(in crate::http) fn new(body: Body, limit: Duration) -> Self {
        Self { body, limit, timer: None }
    }
}

impl HttpBody for BodyTimeout {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Some(Err(grpc::message_timeout(limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_deadline_whenever_the_timer_was_armed() {
        let timer = ConnectionTimer::default();
        let start = tokio::time::Instant::now();
        let mut first = timer.sleep_until((start + SECOND).into());
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::time::advance(SECOND / 2).await;
        drop(first); // a request arrived
        timer.sleep_until((start + 3 * SECOND).into()).await;
        assert_eq!(start.elapsed(), 3 * SECOND);
        timer.sleep_until((start + 4 * SECOND).into()).await;
        assert_eq!(start.elapsed(), 4 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_ran_out_between_requests_is_armed_again() {
        let timer = ConnectionTimer::default();
        let start = tokio::time::Instant::now();
        let mut first = timer.sleep_until((start + SECOND).into());
        assert!(futures_util::poll!(&mut first).is_pending());
        drop(first);
        tokio::time::advance(5 * SECOND).await; // while the response was computed
        timer.sleep_until((start + 7 * SECOND).into()).await;
        assert_eq!(start.elapsed(), 7 * SECOND);
    }
}
