//! Whether requests come at the same time. A leader yields so that others can join it, which costs a look at every
//! socket and wakes an idle thread to help with nothing: at one connection as much as all of HTTP.

use std::sync::atomic::{AtomicU32, Ordering};

/// So many batches in a row that nobody joined mean that nobody will; and so often it is tried again.
const ALONE_FOR_LONG: u32 = 16;

/// How long requests have been alone.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Batches in a row that nobody joined. A lost update between two threads does no harm.
    alone: AtomicU32,
}

impl Company {
    /// Whether to wait for others to join.
    pub(super) fn is_likely(&self) -> bool {
        let alone = self.alone.load(Ordering::Relaxed);
        alone < ALONE_FOR_LONG || alone.is_multiple_of(ALONE_FOR_LONG)
    }

    /// A batch of so many requests has been formed.
    pub(super) fn formed(&self, requests: usize) {
        let alone = if requests > 1 { 0 } else { self.alone.load(Ordering::Relaxed).wrapping_add(1) };
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// A request found no instance free.
    pub(super) fn waits(&self) {
        self.alone.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_after_a_while_and_tried_again() {
        let company = Company::default();
        let tried = |company: &Company| {
            let likely = company.is_likely();
            company.formed(1);
            likely
        };
        assert!((0..ALONE_FOR_LONG).all(|_| tried(&company)));
        let later = (0..10 * ALONE_FOR_LONG).filter(|_| tried(&company)).count();
        assert_eq!(later, 10);
    }

    #[test]
    fn any_sign_of_it_brings_it_back() {
        let signs: [fn(&Company); 2] = [|company| company.formed(2), Company::waits];
        for sign in signs {
            let company = Company::default();
            (0..=ALONE_FOR_LONG).for_each(|_| company.formed(1));
            assert!(!company.is_likely());
            sign(&company);
            assert!(company.is_likely());
        }
    }
}
