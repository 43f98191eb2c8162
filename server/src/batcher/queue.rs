//! The queue of one lane: which requests wait, which instances are free, and who leads. It is pure: no clock, no
//! runtime.
//!
//! A request that arrives while an instance is free takes the instance and leads: it forms a batch of itself and of
//! waiting requests. Any other request waits. Arrivals, departures and handovers change the queue in one step each,
//! so this always holds: **an instance is free only while no request waits**.
//!
//! A model may have several queues with instances of their own. They share one [`RowBudget`] for waiting requests.
//!
//! Requests leave by priority, and within a priority in order of arrival. None starves: a limited number of later
//! arrivals overtake a request, for each priority level above its own as many as rows may wait.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::request::{schedule::Priority, validate::Group};

/// A request in the queue, or about to enter it.
#[derive(Debug)]
pub struct Entry<P> {
    /// Rows of the request.
    pub rows: usize,
    /// What other requests must have in common with it to share its batch. `None`: it runs alone.
    pub group: Option<Group>,
    /// The request itself, and the channel to its task.
    pub payload: P,
}

/// Identifies a waiting entry, and orders it: the least ticket leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Arrivals from this number on leave after this entry, whatever their priority.
    due: u64,
    /// Number of this arrival, counted from 0 in each queue.
    number: u64,
}

/// What happens to a request that arrives.
#[derive(Debug)]
pub enum Admission<P, I> {
    /// An instance was free: the request leads with it and does not enter the queue.
    Lead(I, Entry<P>),
    /// The request waits.
    Wait(Ticket),
    /// The budget has no rows left for it.
    Full(Entry<P>),
}

/// What happens to an instance that a leader hands back.
#[derive(Debug)]
pub enum Handover<P, I> {
    /// No request waits: the instance is free.
    Free,
    /// The first waiting request leaves the queue and leads with the instance.
    Appoint(I, Entry<P>),
}

/// Limits the rows that wait, over all queues of a model.
#[derive(Debug)]
pub struct RowBudget {
    reserved: AtomicUsize,
    max_rows: usize,
}

impl RowBudget {
    /// Allows `max_rows` waiting rows, or a single request with more.
    pub fn new(max_rows: usize) -> Self {
        Self { reserved: AtomicUsize::new(0), max_rows }
    }

    /// Returns the rows that wait now.
    pub fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Reserves `rows`, and returns whether they fit.
    fn reserve(&self, rows: usize) -> bool {
        let max_rows = self.max_rows.max(rows); // a request that waits alone always fits
        let limit = |taken: usize| if taken == 0 { max_rows } else { self.max_rows };
        let fits = |taken: usize| taken.checked_add(rows).filter(|&sum| sum <= limit(taken));
        self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Releases rows that were reserved.
    fn release(&self, rows: usize) {
        self.reserved.fetch_sub(rows, Ordering::Relaxed);
    }
}

/// Requests with payload `P` that wait for an instance, in the order in which they leave, and the free instances `I`.
#[derive(Debug)]
pub struct BatchQueue<P, I> {
    waiting: VecDeque<(Ticket, Entry<P>)>,
    budget: Arc<RowBudget>,
    /// Number of the next arrival.
    next: u64,
    free: Vec<I>,
    /// Leaders that have not formed their batches yet.
    forming: usize,
}

impl<P, I> BatchQueue<P, I> {
    /// Makes an empty queue with free `instances`.
    pub fn new(instances: Vec<I>, budget: Arc<RowBudget>) -> Self {
        Self { waiting: VecDeque::new(), budget, next: 0, free: instances, forming: 0 }
    }

    /// Returns the number of requests that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the number of rows that wait.
    pub fn rows(&self) -> usize {
        self.waiting.iter().map(|(_, entry)| entry.rows).sum()
    }

    /// Returns whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the number of free instances.
    pub fn free_instances(&self) -> usize {
        self.free.len()
    }

    /// Returns whether a request that arrives now would wait for a running batch to end: no instance is free, and no
    /// leader is about to form a batch that the request could join.
    pub fn is_unattended(&self) -> bool {
        self.free.is_empty() && self.forming == 0
    }

    /// Admits a request that arrives.
    pub fn admit(&mut self, entry: Entry<P>, priority: Priority) -> Admission<P, I> {
        if let Some(instance) = self.free.pop() {
            self.forming += 1;
            return Admission::Lead(instance, entry);
        }
        if !self.budget.reserve(entry.rows) {
            return Admission::Full(entry);
        }
        // A waiting request has at least one row, so no more than these arrivals can wait at once.
        let may_pass = priority.levels_above() * self.budget.max_rows as u64;
        let ticket = Ticket { due: self.next + may_pass, number: self.next };
        self.next += 1;
        // The end of the queue, if all requests have the same priority.
        let position = self.waiting.partition_point(|(waiting, _)| *waiting < ticket);
        self.waiting.insert(position, (ticket, entry));
        Admission::Wait(ticket)
    }

    /// Takes a free instance for a request of another queue.
    pub fn lend(&mut self) -> Option<I> {
        self.free.pop()
    }

    /// Counts a leader whose instance another queue has lent.
    pub fn begin_forming(&mut self) {
        self.forming += 1;
    }

    /// Uncounts a leader that has formed its batch or has gone.
    pub fn end_forming(&mut self) {
        self.forming -= 1;
    }

    /// Takes the entry that leaves first.
    pub fn take_first(&mut self) -> Option<Entry<P>> {
        let first = self.remove(0)?;
        self.budget.release(first.rows);
        Some(first)
    }

    /// Takes the entries that join a batch of `group`, with at most `max_rows` rows, in queue order. Entries of other
    /// groups stay in the queue, and so do those of the group from the first that does not fit.
    pub fn join(&mut self, group: Option<&Group>, max_rows: usize) -> Vec<Entry<P>> {
        let Some(group) = group else { return Vec::new() };
        let mut joined = Vec::with_capacity(self.waiting.len().min(max_rows));
        let (mut index, mut left) = (0, max_rows);
        while left > 0 && index < self.waiting.len() {
            let entry = &self.waiting[index].1;
            if entry.group.as_ref() != Some(group) {
                index += 1;
                continue;
            }
            if entry.rows > left {
                break; // a smaller one behind it must not overtake it
            }
            left -= entry.rows;
            joined.extend(self.remove(index));
        }
        self.budget.release(max_rows - left);
        joined
    }

    /// Returns the waiting rows that could join a batch of `group`.
    pub fn joinable_rows(&self, group: Option<&Group>) -> usize {
        let joins = |entry: &Entry<P>| group.is_some() && entry.group.as_ref() == group;
        self.waiting.iter().filter(|(_, entry)| joins(entry)).map(|(_, entry)| entry.rows).sum()
    }

    /// Takes back an instance whose batch has ended.
    pub fn hand_back(&mut self, instance: I) -> Handover<P, I> {
        if let Some(entry) = self.take_first() {
            self.forming += 1;
            return Handover::Appoint(instance, entry);
        }
        self.free.push(instance);
        Handover::Free
    }

    /// Takes out a request whose client has gone. Returns `None` if it no longer waits.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<Entry<P>> {
        let index = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let entry = self.remove(index)?;
        self.budget.release(entry.rows);
        Some(entry)
    }

    /// Takes out an entry without releasing its rows, which the caller does.
    fn remove(&mut self, index: usize) -> Option<Entry<P>> {
        self.waiting.remove(index).map(|(_, entry)| entry)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
