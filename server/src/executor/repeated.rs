//! ONNX Runtime's warnings, which it writes again at every run: the first at once, then a line a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A warning that goes on is told this often.
const INTERVAL: Duration = Duration::from_mins(1);

/// Kinds of warnings that are kept apart: some of each model.
const MOST_KINDS: usize = 512;

/// Whose warning it is, and from which place in ONNX Runtime's code: its text may differ from run to run.
type Kind = (String, String);

/// The warnings of the last while.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    kinds: Mutex<HashMap<Kind, Seen>>,
}

#[derive(Debug)]
struct Seen {
    told: Instant,
    held_back: u64,
}

impl Repeated {
    /// How many like it were held back since the last that was told, if this one is to be told.
    pub(super) fn told(&self, model: &str, location: &str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (model.to_owned(), location.to_owned());
        if let Some(seen) = kinds.get_mut(&kind) {
            if now < seen.told + INTERVAL {
                seen.held_back += 1;
                return None;
            }
            seen.told = now;
            return Some(std::mem::take(&mut seen.held_back));
        }
        if kinds.len() >= MOST_KINDS {
            kinds.retain(|_, seen| now < seen.told + INTERVAL);
        }
        // Beyond that many at once, what is new is told less often still: not at all.
        (kinds.len() < MOST_KINDS).then(|| {
            kinds.insert(kind, Seen { told: now, held_back: 0 });
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_then_one_a_minute_with_how_many_there_were() {
        let (repeated, start) = (Repeated::default(), Instant::now());
        let told =
            |model, location, second| repeated.told(model, location, start + Duration::from_secs(second));
        assert_eq!(told("a", "x.cc:1", 0), Some(0));
        assert_eq!(told("b", "x.cc:1", 0), Some(0));
        assert_eq!(told("a", "y.cc:1", 0), Some(0));
        assert!((1..60).all(|second| told("a", "x.cc:1", second).is_none()));
        assert_eq!(told("a", "x.cc:1", 60), Some(59));
        assert_eq!(told("a", "x.cc:1", 61), None);
        assert_eq!(told("b", "x.cc:1", 300), Some(0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (repeated, start) = (Repeated::default(), Instant::now());
        let told = (0..2 * MOST_KINDS).filter(|model| repeated.told(&model.to_string(), "", start).is_some());
        assert_eq!(told.count(), MOST_KINDS);
        assert_eq!(repeated.told("another", "", start + INTERVAL), Some(0));
        assert!(repeated.kinds.lock().unwrap().len() <= MOST_KINDS);
    }
}
