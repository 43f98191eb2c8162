//! Measures how long a cache line takes from one core to another and back. A virtual machine may have cores that share
//! a cache at one time and cores that do not at another. Costs of communication between the server's threads depend on
//! this.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Instant,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const ROUND_TRIPS: u32 = 100_000;

/// Round trip of a cache line between the first two cores of this process, in nanoseconds. `None` if it has only one
/// core.
pub(crate) fn round_trip() -> Option<f64> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let (here, there) = (cores.next()?, cores.next()?);
    let line = AtomicU32::new(0);
    thread::scope(|scope| {
        let answers = scope.spawn(|| take_turns(&line, there, 1));
        let asks = scope.spawn(|| take_turns(&line, here, 0));
        answers.join().ok()??;
        asks.join().ok()?
    })
}

/// One of two players, who increment the counter in turn: this one increments it when its parity is `parity`. Returns
/// the nanoseconds per round trip.
fn take_turns(line: &AtomicU32, core: usize, parity: u32) -> Option<f64> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).ok()?;
    let started = Instant::now();
    for turn in 0..ROUND_TRIPS {
        let mine = 2 * turn + parity;
        while line.load(Ordering::Acquire) != mine {
            spin_loop();
        }
        line.store(mine + 1, Ordering::Release);
    }
    Some(started.elapsed().as_nanos() as f64 / f64::from(ROUND_TRIPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_can_be_told_apart() {
        if thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
            assert!(round_trip().unwrap() > 0.0);
        }
    }
}
