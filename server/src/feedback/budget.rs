//! Limits on corrections, for all clients together: a number per minute (`--feedback-rate`), and a number of bytes
//! since the server's start (`--feedback-size`).

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Refusal;
use crate::error::{ErrorCode, ServeError};

const MINUTE: Duration = Duration::from_mins(1);

/// `Retry-After` once the bytes are used up: another try can only succeed after an operator has acted.
const BYTES_USED_UP_WAIT: Duration = Duration::from_hours(1);

/// Decides whether another correction is accepted.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: usize,
    max_bytes: u64,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    /// When the corrections of the last minute were accepted, oldest first. It has at most `per_minute` entries.
    times: VecDeque<Instant>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(per_minute: NonZeroUsize, max_bytes: u64) -> Self {
        Self { per_minute: per_minute.get(), max_bytes, spent: Mutex::default() }
    }

    /// Takes a correction of `bytes` bytes out of the budget, or refuses it.
    pub(super) fn take(&self, now: Instant, bytes: u64) -> Result<(), Refusal> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        while spent.times.front().is_some_and(|&time| now.saturating_duration_since(time) >= MINUTE) {
            spent.times.pop_front();
        }
        let refuse = |message: String, wait| {
            Err(Refusal { error: ServeError::new(ErrorCode::Overloaded, message), wait: Some(wait) })
        };
        if spent.bytes.saturating_add(bytes) > self.max_bytes {
            let message = format!(
                "the corrections since the server's start have {} bytes, and it takes no more than {} \
                 (--feedback-size): ask its operator",
                spent.bytes, self.max_bytes
            );
            return refuse(message, BYTES_USED_UP_WAIT);
        }
        if spent.times.len() >= self.per_minute {
            let message = format!(
                "{} corrections have come within a minute, the most that are taken (--feedback-rate): try again \
                 after Retry-After",
                self.per_minute
            );
            let oldest = spent.times.front().copied().unwrap_or(now);
            return refuse(message, MINUTE.saturating_sub(now.saturating_duration_since(oldest)));
        }
        spent.times.push_back(now);
        spent.bytes += bytes;
        Ok(())
    }

    /// Returns the bytes of a correction that was not stored. It still counts for its minute, since it cost work.
    pub(super) fn give_back(&self, bytes: u64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.bytes = spent.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_minute: usize, max_bytes: u64) -> Budget {
        Budget::new(per_minute.try_into().unwrap(), max_bytes)
    }

    #[test]
    fn no_minute_has_more_corrections_than_the_limit() {
        let (budget, start) = (budget(3, 1000), Instant::now());
        let at = |seconds| budget.take(start + Duration::from_secs(seconds), 1);
        for seconds in [0, 50, 50] {
            at(seconds).unwrap();
        }
        let refusal = at(55).unwrap_err();
        assert_eq!(refusal.error.code, ErrorCode::Overloaded);
        assert_eq!(refusal.wait, Some(Duration::from_secs(5)));
        at(60).unwrap();
        assert_eq!(at(109).unwrap_err().wait, Some(Duration::from_secs(1)));
        at(110).unwrap();
        assert!(budget.spent.lock().unwrap().times.len() <= 3);
    }

    #[test]
    fn bytes_are_bounded_and_returned_where_nothing_was_stored() {
        let (budget, now) = (budget(100, 10), Instant::now());
        budget.take(now, 6).unwrap();
        let refusal = budget.take(now, 5).unwrap_err();
        assert!(refusal.error.message.contains("--feedback-size"), "{refusal:?}");
        budget.take(now, 4).unwrap();
        budget.give_back(6);
        budget.take(now, 6).unwrap();
        assert!(budget.take(now, 1).is_err());
    }
}
