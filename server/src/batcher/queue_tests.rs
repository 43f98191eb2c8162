//! Properties of the queue that hold after any sequence of events.

use std::collections::HashMap;

use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Arrive { rows: usize, group: usize, priority: u64 },
    Join { leader: usize, max_rows: usize },
    HandBack { leader: usize },
    Withdraw { nth: usize },
    Lend,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (prop_oneof![9 => 1..6_usize, 1 => 20..40_usize], 0..3_usize, 0..10_u64)
            .prop_map(|(rows, group, priority)| Event::Arrive { rows, group, priority }),
        2 => (0..4_usize, 0..12_usize).prop_map(|(leader, max_rows)| Event::Join { leader, max_rows }),
        2 => (0..4_usize).prop_map(|leader| Event::HandBack { leader }),
        1 => (0..32_usize).prop_map(|nth| Event::Withdraw { nth }),
        1 => Just(Event::Lend),
    ]
}

#[derive(Clone, Debug)]
struct Waiter {
    id: u64,
    rows: usize,
    group: usize,
    priority: Priority,
    /// Later arrivals that left before it.
    passed_by: u64,
}

#[derive(Clone, Copy, Debug)]
struct Leader {
    instance: usize,
    group: usize,
    is_forming: bool,
}

/// Applies each event to the queue and to a plain list of waiting requests in order of arrival, and compares them.
struct Model {
    queue: BatchQueue<u64, usize>,
    budget: Arc<RowBudget>,
    waiting: Vec<Waiter>,
    tickets: HashMap<u64, Ticket>,
    leading: Vec<Leader>,
    answered: Vec<u64>,
    arrived: u64,
    max_rows: usize,
}

impl Model {
    fn new(instances: usize, max_rows: usize) -> Self {
        let budget = Arc::new(RowBudget::new(max_rows));
        Self {
            queue: BatchQueue::new((0..instances).collect(), Arc::clone(&budget)),
            budget,
            waiting: Vec::new(),
            tickets: HashMap::new(),
            leading: Vec::new(),
            answered: Vec::new(),
            arrived: 0,
            max_rows,
        }
    }

    fn leave(&mut self, id: u64) -> Waiter {
        let index = self.waiting.iter().position(|waiter| waiter.id == id).expect("left once only");
        self.tickets.remove(&id);
        self.answered.push(id);
        self.waiting.remove(index)
    }

    /// Removes an entry that the queue has picked from those of `group`, or from all, and checks that it was its
    /// turn.
    fn take_turn(&mut self, id: u64, group: Option<usize>) -> Waiter {
        let gone = self.leave(id);
        for other in self.waiting.iter_mut().filter(|other| group.is_none_or(|group| group == other.group)) {
            if other.id < id {
                assert!(gone.priority < other.priority, "in order of arrival within a priority");
                other.passed_by += 1;
                let most = other.priority.levels_above() * self.max_rows as u64;
                assert!(other.passed_by <= most, "nobody starves");
            } else if other.priority < gone.priority {
                // An urgent request passes all that have not been passed often enough.
                let may_pass =
                    (gone.priority.levels_above() - other.priority.levels_above()) * self.max_rows as u64;
                assert!(other.id - id >= may_pass, "the urgent go first");
            }
        }
        gone
    }

    fn apply(&mut self, event: &Event, instances: usize) {
        match *event {
            Event::Arrive { rows, group, priority } => {
                self.arrive(rows, group, Priority::new(priority), instances);
            }
            Event::Join { leader, max_rows } if !self.leading.is_empty() => {
                let leader = leader % self.leading.len();
                self.formed(leader);
                self.join(self.leading[leader].group, max_rows);
            }
            Event::HandBack { leader } if !self.leading.is_empty() => {
                self.formed(leader % self.leading.len());
                let Leader { instance, .. } = self.leading.remove(leader % self.leading.len());
                self.hand_back(instance);
            }
            Event::Withdraw { nth } if !self.waiting.is_empty() => {
                let id = self.waiting[nth % self.waiting.len()].id;
                let entry = self.queue.withdraw(self.tickets[&id]).expect("waits");
                assert_eq!(entry.payload, id);
                self.leave(id);
            }
            Event::Lend => {
                if let Some(instance) = self.queue.lend() {
                    assert!(self.waiting.is_empty(), "lent only while nobody waits here");
                    self.leading.push(Leader { instance, group: 0, is_forming: false });
                }
            }
            Event::Join { .. } | Event::HandBack { .. } | Event::Withdraw { .. } => {}
        }
    }

    fn arrive(&mut self, rows: usize, group: usize, priority: Priority, instances: usize) {
        let id = self.arrived;
        self.arrived += 1;
        match self.queue.admit(Entry { rows, group: Some(smallvec![group]), payload: id }, priority) {
            Admission::Lead(instance, entry) => {
                assert!(self.waiting.is_empty(), "nobody overtakes those who wait");
                assert_eq!(entry.payload, id);
                self.answered.push(id);
                self.leading.push(Leader { instance, group, is_forming: true });
            }
            Admission::Wait(ticket) => {
                assert_eq!(self.leading.len(), instances, "waits only while every instance is led");
                self.tickets.insert(id, ticket);
                self.waiting.push(Waiter { id, rows, group, priority, passed_by: 0 });
            }
            Admission::Full(entry) => {
                assert!(self.queue.rows() + rows > self.max_rows, "refused only where its rows do not fit");
                assert!(!self.waiting.is_empty(), "a request that would wait alone is never refused");
                self.answered.push(entry.payload);
            }
        }
    }

    fn formed(&mut self, leader: usize) {
        if std::mem::take(&mut self.leading[leader].is_forming) {
            self.queue.end_forming();
        }
    }

    fn join(&mut self, group: usize, max_rows: usize) {
        let expected = self.queue.joinable_rows(Some(&smallvec![group]));
        let joined = self.queue.join(Some(&smallvec![group]), max_rows);
        let rows: usize = joined.iter().map(|entry| entry.rows).sum();
        assert!(rows <= max_rows && rows <= expected);
        for entry in joined {
            assert_eq!(self.take_turn(entry.payload, Some(group)).group, group, "of one group only");
        }
    }

    fn hand_back(&mut self, instance: usize) {
        match self.queue.hand_back(instance) {
            Handover::Free => assert!(self.waiting.is_empty(), "no instance rests while somebody waits"),
            Handover::Appoint(instance, entry) => {
                let gone = self.take_turn(entry.payload, None);
                self.leading.push(Leader { instance, group: gone.group, is_forming: true });
            }
        }
    }

    fn check(&self, instances: usize) {
        let rows: usize = self.waiting.iter().map(|waiter| waiter.rows).sum();
        assert_eq!((self.queue.rows(), self.queue.len()), (rows, self.waiting.len()));
        assert_eq!(rows, self.budget.reserved());
        assert!(rows <= self.max_rows || self.waiting.len() == 1, "one that is larger waits alone");
        let is_attended =
            self.leading.len() < instances || self.leading.iter().any(|leader| leader.is_forming);
        assert_eq!(self.queue.is_unattended(), !is_attended);
    }
}

proptest! {
    #[test]
    fn each_request_is_served_once_in_turn_and_no_instance_is_free_while_one_waits(
        events in prop::collection::vec(event(), 1..200),
        instances in 1..4_usize,
        max_rows in 1..20_usize,
    ) {
        let mut model = Model::new(instances, max_rows);
        for event in &events {
            model.apply(event, instances);
            model.check(instances);
        }
        while let Some(leader) = model.leading.len().checked_sub(1) {
            model.apply(&Event::HandBack { leader }, instances);
        }
        prop_assert!(model.waiting.is_empty());
        model.answered.sort_unstable();
        prop_assert_eq!(&model.answered, &(0..model.arrived).collect::<Vec<_>>(), "answered once each");
    }
}

#[test]
fn a_request_that_left_cannot_leave_again() {
    let mut queue = BatchQueue::new(vec![()], Arc::new(RowBudget::new(8)));
    let entry = |payload| Entry { rows: 1, group: Some(Group::new()), payload };
    assert!(matches!(queue.admit(entry(0), Priority::DEFAULT), Admission::Lead((), _)));
    let Admission::Wait(ticket) = queue.admit(entry(1), Priority::DEFAULT) else {
        panic!("the only instance is led")
    };
    assert!(queue.withdraw(ticket).is_some());
    assert!(queue.withdraw(ticket).is_none());
    assert!(matches!(queue.hand_back(()), Handover::Free));
}

#[test]
fn a_stream_of_urgent_requests_starves_no_other() {
    let most = 4;
    let mut queue = BatchQueue::new(vec![()], Arc::new(RowBudget::new(most)));
    let entry = |payload| Entry { rows: 1, group: Some(Group::new()), payload };
    assert!(matches!(queue.admit(entry(0), Priority::DEFAULT), Admission::Lead((), _)));
    assert!(matches!(queue.admit(entry(1), Priority::LOWEST), Admission::Wait(_)));
    for passed in 0..=Priority::LOWEST.levels_above() * most as u64 {
        assert!(matches!(queue.admit(entry(2 + passed), Priority::new(1)), Admission::Wait(_)));
        let Handover::Appoint((), first) = queue.hand_back(()) else { panic!("somebody waits") };
        if first.payload == 1 {
            return;
        }
    }
    panic!("the patient one is still waiting");
}
