//! Limits ONNX Runtime's warnings, which may repeat at every run: the first of a kind is logged at once, and then one
//! per minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Interval between two logged warnings of one kind.
const INTERVAL: Duration = Duration::from_mins(1);

/// Most kinds of warnings that are remembered. Each model has a few, and this bounds the memory for all of them.
const MOST_KINDS: usize = 512;

/// The model and the place in ONNX Runtime's code that a warning comes from. The text does not count, since it may
/// differ from run to run.
type Kind = (String, String);

/// Recent warnings by kind.
#[derive(Debug, Default)]
pub(super) struct WarningFilter {
    kinds: Mutex<HashMap<Kind, Seen>>,
}

/// What is known about one kind of warning.
#[derive(Debug)]
struct Seen {
    /// When a warning of this kind was last logged.
    logged: Instant,
    /// How many were held back since then.
    held_back: u64,
}

impl WarningFilter {
    /// Decides whether to log a warning. Returns `None` if it is held back, and otherwise how many of its kind were
    /// held back since the last one.
    pub(super) fn admit(&self, model: &str, location: &str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (model.to_owned(), location.to_owned());
        if let Some(seen) = kinds.get_mut(&kind) {
            if now < seen.logged + INTERVAL {
                seen.held_back += 1;
                return None;
            }
            seen.logged = now;
            return Some(std::mem::take(&mut seen.held_back));
        }
        if kinds.len() >= MOST_KINDS {
            kinds.retain(|_, seen| now < seen.logged + INTERVAL);
        }
        // With more kinds than that at once, new kinds are not logged.
        (kinds.len() < MOST_KINDS).then(|| {
            kinds.insert(kind, Seen { logged: now, held_back: 0 });
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_then_one_per_minute_with_the_count_of_the_others() {
        let (filter, start) = (WarningFilter::default(), Instant::now());
        let admit =
            |model, location, second| filter.admit(model, location, start + Duration::from_secs(second));
        assert_eq!(admit("a", "x.cc:1", 0), Some(0));
        assert_eq!(admit("b", "x.cc:1", 0), Some(0));
        assert_eq!(admit("a", "y.cc:1", 0), Some(0));
        assert!((1..60).all(|second| admit("a", "x.cc:1", second).is_none()));
        assert_eq!(admit("a", "x.cc:1", 60), Some(59));
        assert_eq!(admit("a", "x.cc:1", 61), None);
        assert_eq!(admit("b", "x.cc:1", 300), Some(0));
    }

    #[test]
    fn remembered_kinds_are_bounded() {
        let (filter, start) = (WarningFilter::default(), Instant::now());
        let admitted =
            (0..2 * MOST_KINDS).filter(|model| filter.admit(&model.to_string(), "", start).is_some());
        assert_eq!(admitted.count(), MOST_KINDS);
        assert_eq!(filter.admit("another", "", start + INTERVAL), Some(0));
        assert!(filter.kinds.lock().unwrap().len() <= MOST_KINDS);
    }
}
