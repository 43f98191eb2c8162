//! Connections of HTTP/1.1 without their useless wake-ups. hyper wakes a connection whenever a piece of a body is
//! taken, the last one too, after which it has nothing to do. That happens while the connection's task runs, so the
//! runtime queues the task once more and wakes another thread for it, a request at a time: system calls, and an
//! answer that changes its core.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    Awake,
    Deaf,
    /// It was called while it was deaf.
    Missed,
}

thread_local! {
    static HEARING: Cell<Hearing> = const { Cell::new(Hearing::Awake) };
}

/// Runs `action`, and tells whether it tried to wake a [`WakeFilter`] future from this thread, which it did not. What
/// other threads do goes on.
pub(in crate::http) fn without_wakes<T>(action: impl FnOnce() -> T) -> (T, bool) {
    HEARING.set(Hearing::Deaf);
    let awake = AwakeAgain;
    let result = action();
    let missed = HEARING.get() == Hearing::Missed;
    drop(awake);
    (result, missed)
}

/// Ends the deafness of a thread, also where a panic ends what it was for: tokio catches that, and the thread goes on
/// with other connections.
struct AwakeAgain;

impl Drop for AwakeAgain {
    fn drop(&mut self) {
        HEARING.set(Hearing::Awake);
    }
}

/// A future that [`without_wakes`] can keep from being woken; whoever calls that wakes it where it mattered after all.
#[derive(Debug)]
pub(in crate::http) struct WakeFilter<F> {
    future: Pin<Box<F>>,
    /// The task's waker, and the one around it that the future gets.
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
        let (_, hushable) = wakers.insert(known.unwrap_or_else(|| {
            let task = context.waker().clone();
            (task.clone(), Waker::from(Arc::new(FilteredWaker(task))))
        }));
        future.as_mut().poll(&mut Context::from_waker(hushable))
    }
}

#[derive(Debug)]
struct FilteredWaker(Waker);

impl Wake for FilteredWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match HEARING.get() {
            Hearing::Awake => self.0.wake_by_ref(),
            Hearing::Deaf | Hearing::Missed => HEARING.set(Hearing::Missed),
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
    fn only_what_happens_inside_on_this_thread_is_missed() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut inner = None;
        let mut hushed = WakeFilter::new(poll_fn(|context| {
            inner = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(Pin::new(&mut hushed).poll(&mut Context::from_waker(&task)).is_pending());
        drop(hushed);
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

        // A panic does not leave the thread deaf.
        let broken =
            std::panic::catch_unwind(AssertUnwindSafe(|| without_wakes(|| panic!("a body with a fault"))));
        assert!(broken.is_err());
        waker.wake();
        assert_eq!(wakes(), 3);
    }
}
