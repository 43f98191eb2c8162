//! Suppresses useless wake-ups of HTTP/1.1 connections. hyper wakes a connection's task whenever a chunk of a body is
//! taken, even after the last chunk, when it has nothing to do. The task is running then, so the runtime would queue it
//! once more. This would cost a needless poll, and possibly a system call, per request.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WakeState {
    /// Wake-ups work.
    Normal,
    /// Wake-ups are suppressed, and there was none so far.
    Suppressing,
    /// Wake-ups are suppressed, and there was one.
    Suppressed,
}

thread_local! {
    static WAKE_STATE: Cell<WakeState> = const { Cell::new(WakeState::Normal) };
}

/// Runs `action` while wake-ups of [`WakeFilter`] futures by this thread are suppressed. Returns whether one was
/// suppressed. Wake-ups by other threads still work.
pub(in crate::http) fn without_wakes<T>(action: impl FnOnce() -> T) -> (T, bool) {
    WAKE_STATE.set(WakeState::Suppressing);
    let end = EndOnDrop;
    let result = action();
    let suppressed = WAKE_STATE.get() == WakeState::Suppressed;
    drop(end);
    (result, suppressed)
}

/// Ends the suppression when dropped, also after a panic: tokio catches panics, and the thread goes on with other
/// connections.
struct EndOnDrop;

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        WAKE_STATE.set(WakeState::Normal);
    }
}

/// A future whose wake-ups [`without_wakes`] can suppress. The caller of that function must wake the future if it
/// needed the wake-up.
#[derive(Debug)]
pub(in crate::http) struct WakeFilter<F> {
    future: Pin<Box<F>>,
    /// The waker of the task, and the filtered one that the future gets.
    wakers: Option<(Waker, Waker)>,
}

impl<F> WakeFilter<F> {
    pub(in crate::http) fn new(future: F) -> Self {
        Self { future: Box::pin(future), wakers: None }
    }
}

impl<F: Future> Future for WakeFilter<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, wakers } = self.get_mut();
        let known = wakers.take().filter(|(task, _)| task.will_wake(context.waker()));
        let (_, filtered) = wakers.insert(known.unwrap_or_else(|| {
            let task = context.waker().clone();
            (task.clone(), Waker::from(Arc::new(FilteredWaker(task))))
        }));
        future.as_mut().poll(&mut Context::from_waker(filtered))
    }
}

#[derive(Debug)]
struct FilteredWaker(Waker);

impl Wake for FilteredWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match WAKE_STATE.get() {
            WakeState::Normal => self.0.wake_by_ref(),
            WakeState::Suppressing | WakeState::Suppressed => WAKE_STATE.set(WakeState::Suppressed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        panic::AssertUnwindSafe,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_wake_ups_inside_on_this_thread_are_suppressed() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut inner = None;
        let mut filtered = WakeFilter::new(poll_fn(|context| {
            inner = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(Pin::new(&mut filtered).poll(&mut Context::from_waker(&task)).is_pending());
        drop(filtered);
        let waker = inner.unwrap();
        let wakes = || count.0.load(Ordering::Relaxed);

        assert_eq!(without_wakes(|| waker.wake_by_ref()), ((), true));
        assert_eq!(without_wakes(|| ()), ((), false));
        assert_eq!(wakes(), 0);
        let from_elsewhere =
            || std::thread::scope(|scope| scope.spawn(|| waker.wake_by_ref()).join().unwrap());
        assert_eq!(without_wakes(from_elsewhere), ((), false));
        assert_eq!(wakes(), 1);
        waker.wake_by_ref();
        assert_eq!(wakes(), 2);

        // A panic ends the suppression too.
        let broken =
            std::panic::catch_unwind(AssertUnwindSafe(|| without_wakes(|| panic!("a body with a fault"))));
        assert!(broken.is_err());
        waker.wake();
        assert_eq!(wakes(), 3);
    }
}
