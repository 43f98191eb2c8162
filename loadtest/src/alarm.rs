//! A timer that is accurate to some tens of microseconds.
//!
//! The runtime's own timer counts in milliseconds. An open loop measures latency from the intended send time, so such
//! an error would be most of a short latency. The kernel's timer (timerfd) wakes the task through the same reactor as
//! the sockets.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A timer of one task.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Creates a timer that is not set.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    #[expect(
        deprecated,
        reason = "the replacement is unsafe, since some types can change their descriptor; an OwnedFd cannot"
    )]
    pub fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Returns at `deadline`, or at once if it has passed.
    ///
    /// # Errors
    /// The kernel does not set the timer.
    pub async fn until(&mut self, deadline: Instant) -> io::Result<()> {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(()); // a time of 0 would switch the timer off
        }
        let once = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(wait) };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        let mut expirations = [0; 8];
        self.0.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut expirations)?)).await?;
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Saturates: 2^63 seconds are 292 billion years.
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: i64::from(duration.subsec_nanos()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_wakes_early_and_can_be_set_again() {
        let mut alarm = Alarm::new().unwrap();
        for wait in [Duration::from_micros(300), Duration::ZERO, Duration::from_millis(3)] {
            let deadline = Instant::now() + wait;
            alarm.until(deadline).await.unwrap();
            assert!(Instant::now() >= deadline, "woke early from {wait:?}");
        }
    }
}
