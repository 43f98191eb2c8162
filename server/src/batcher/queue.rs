//! A queue for instances of a model: who waits, which instances are free, who leads. Pure: no clock, no runtime.
//!
//! Whoever brings a request while an instance is free takes the instance and leads: it forms a batch of
//! its own request and of what waits. Everyone else waits. Whether somebody leads is thereby part of the
//! queue's own state, changed in the same step as arrivals and departures:
//! **an instance is free only while nobody waits**.
//!
//! A model may have several such queues, with instances of their own; they share the [`RowBudget`] for those who wait.
//!
//! Those who wait are served by priority, and within a priority in order of arrival. Nobody starves: for each
//! level above its own, an entry lets at most as many later arrivals pass as rows may wait. So an urgent
//! request passes everyone who has not been passed that often already.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{schedule::Priority, validate::Group};

/// A request in the queue, or about to enter it.
#[derive(Debug)]
pub struct Entry<P> {
    /// Rows that it brings.
    pub rows: usize,
    /// What others must share to be joined with it; `None` where it goes alone.
    pub group: Option<Group>,
    /// The request itself and the way back to who brought it.
    pub payload: P,
}

/// Name of a waiting entry, and its place: the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The number of the arrival from which on nobody passes it.
    due: u64,
    /// Entries are numbered as they come.
    number: u64,
}

/// What became of an arrival.
#[derive(Debug)]
pub enum Admission<P, I> {
    /// An instance was free: the bringer leads with it, its entry is not in the queue.
    Lead(I, Entry<P>),
    /// The entry waits.
    Wait(Ticket),
    /// The queue has no room for its rows.
    Full(Entry<P>),
}

/// What became of an instance that was handed back.
#[derive(Debug)]
pub enum Handover<P, I> {
    /// Nobody waits: the instance is free.
    Free,
    /// The first of those who wait leaves the queue to lead with the instance.
    Appoint(I, Entry<P>),
}

/// How many rows may wait, in all queues that share it.
#[derive(Debug)]
pub struct RowBudget {
    rows: AtomicUsize,
    max_rows: usize,
}

impl RowBudget {
    /// RowBudget for at most `max_rows` waiting rows, or for one request that has more.
    pub fn new(max_rows: usize) -> Self {
        Self { rows: AtomicUsize::new(0), max_rows }
    }

    /// Rows that wait.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    fn take(&self, rows: usize) -> bool {
        let max_rows = self.max_rows.max(rows); // who is alone always fits
        let limit = |taken: usize| if taken == 0 { max_rows } else { self.max_rows };
        let fits = |taken: usize| taken.checked_add(rows).filter(|&sum| sum <= limit(taken));
        self.rows.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, rows: usize) {
        self.rows.fetch_sub(rows, Ordering::Relaxed);
    }
}

/// Requests that wait for an instance (payload `P`), in the order in which they go, and the free instances (`I`).
#[derive(Debug)]
pub struct BatchQueue<P, I> {
    waiting: VecDeque<(Ticket, Entry<P>)>,
    room: Arc<RowBudget>,
    next: u64,
    free: Vec<I>,
    /// Leaders that have not formed their batch yet.
    forming: usize,
}

impl<P, I> BatchQueue<P, I> {
    /// An empty queue for these instances.
    pub fn new(instances: Vec<I>, room: Arc<RowBudget>) -> Self {
        Self { waiting: VecDeque::new(), room, next: 0, free: instances, forming: 0 }
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Rows that wait.
    pub fn rows(&self) -> usize {
        self.waiting.iter().map(|(_, entry)| entry.rows).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Instances that are free.
    pub fn idle(&self) -> usize {
        self.free.len()
    }

    /// Whether a request that arrives now would wait though no leader is about to take it along.
    pub fn is_unattended(&self) -> bool {
        self.free.is_empty() && self.forming == 0
    }

    /// A request arrives.
    pub fn admit(&mut self, entry: Entry<P>, priority: Priority) -> Admission<P, I> {
        if let Some(instance) = self.free.pop() {
            self.forming += 1;
            return Admission::Lead(instance, entry);
        }
        if !self.room.take(entry.rows) {
            return Admission::Full(entry);
        }
        let patience = priority.levels_above() * self.room.max_rows as u64;
        let ticket = Ticket { due: self.next + patience, number: self.next };
        self.next += 1;
        // At the end, where all have the same priority.
        let place = self.waiting.partition_point(|(waiting, _)| *waiting < ticket);
        self.waiting.insert(place, (ticket, entry));
        Admission::Wait(ticket)
    }

    /// A free instance goes to a request of another queue.
    pub fn lend(&mut self) -> Option<I> {
        self.free.pop()
    }

    /// A request leads with an instance that another queue has lent.
    pub fn lead(&mut self) {
        self.forming += 1;
    }

    /// A leader forms its batch, or gives up.
    pub fn formed(&mut self) {
        self.forming -= 1;
    }

    /// Takes the entry that is to go first.
    pub fn first(&mut self) -> Option<Entry<P>> {
        let first = self.remove(0)?;
        self.room.give_back(first.rows);
        Some(first)
    }

    /// Takes the entries that join a batch of `group` with room for `room` rows: the first of them first, others
    /// of the group that do not fit and all of other groups stay where they are.
    pub fn join(&mut self, group: Option<&Group>, mut room: usize) -> Vec<Entry<P>> {
        let Some(group) = group else { return Vec::new() };
        let mut joined = Vec::with_capacity(self.waiting.len().min(room));
        let (mut index, before) = (0, room);
        while room > 0 && index < self.waiting.len() {
            let entry = &self.waiting[index].1;
            if entry.group.as_ref() != Some(group) {
                index += 1;
                continue;
            }
            if entry.rows > room {
                break; // a later, smaller one of the group must not overtake it
            }
            room -= entry.rows;
            joined.extend(self.remove(index));
        }
        self.room.give_back(before - room);
        joined
    }

    /// Rows that a batch of `group` could have now besides its leader's.
    pub fn joinable_rows(&self, group: Option<&Group>) -> usize {
        let joins = |entry: &Entry<P>| group.is_some() && entry.group.as_ref() == group;
        self.waiting.iter().filter(|(_, entry)| joins(entry)).map(|(_, entry)| entry.rows).sum()
    }

    /// A leader hands its instance back.
    pub fn hand_back(&mut self, instance: I) -> Handover<P, I> {
        if let Some(entry) = self.first() {
            self.forming += 1;
            return Handover::Appoint(instance, entry);
        }
        self.free.push(instance);
        Handover::Free
    }

    /// A waiting request is given up; `None` where it no longer waits.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<Entry<P>> {
        let index = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let entry = self.remove(index)?;
        self.room.give_back(entry.rows);
        Some(entry)
    }

    /// The room that it took is still to be given back.
    fn remove(&mut self, index: usize) -> Option<Entry<P>> {
        self.waiting.remove(index).map(|(_, entry)| entry)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
