//! What must hold of the queue whatever happens, in whatever order.

use std::collections::HashMap;

use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Arrive { rows: usize, group: usize },
    Join { leader: usize, room: usize },
    HandBack { leader: usize },
    Withdraw { nth: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6_usize, 0..3_usize).prop_map(|(rows, group)| Event::Arrive { rows, group }),
        2 => (0..4_usize, 0..12_usize).prop_map(|(leader, room)| Event::Join { leader, room }),
        2 => (0..4_usize).prop_map(|leader| Event::HandBack { leader }),
        1 => (0..32_usize).prop_map(|nth| Event::Withdraw { nth }),
    ]
}

/// Runs the events against the queue beside a plain list of who waits.
struct Model {
    queue: BatchQueue<u64, usize>,
    waiting: Vec<(u64, usize, usize)>,
    tickets: HashMap<u64, Ticket>,
    leading: Vec<(usize, usize)>,
    answered: Vec<u64>,
    arrived: u64,
    max_rows: usize,
}

impl Model {
    fn new(instances: usize, max_rows: usize) -> Self {
        Self {
            queue: BatchQueue::new((0..instances).collect(), max_rows),
            waiting: Vec::new(),
            tickets: HashMap::new(),
            leading: Vec::new(),
            answered: Vec::new(),
            arrived: 0,
            max_rows,
        }
    }

    fn leave(&mut self, id: u64) -> (u64, usize, usize) {
        let index = self.waiting.iter().position(|waiter| waiter.0 == id).expect("left once only");
        self.tickets.remove(&id);
        self.answered.push(id);
        self.waiting.remove(index)
    }

    fn apply(&mut self, event: &Event, instances: usize) {
        match *event {
            Event::Arrive { rows, group } => self.arrive(rows, group, instances),
            Event::Join { leader, room } if !self.leading.is_empty() => {
                let group = self.leading[leader % self.leading.len()].1;
                self.join(group, room);
            }
            Event::HandBack { leader } if !self.leading.is_empty() => {
                let (instance, _) = self.leading.remove(leader % self.leading.len());
                self.hand_back(instance);
            }
            Event::Withdraw { nth } if !self.waiting.is_empty() => {
                let id = self.waiting[nth % self.waiting.len()].0;
                let entry = self.queue.withdraw(self.tickets[&id]).expect("waits");
                assert_eq!(entry.payload, id);
                self.leave(id);
            }
            Event::Join { .. } | Event::HandBack { .. } | Event::Withdraw { .. } => {}
        }
    }

    fn arrive(&mut self, rows: usize, group: usize, instances: usize) {
        let id = self.arrived;
        self.arrived += 1;
        match self.queue.admit(Entry { rows, group: smallvec![group], payload: id }) {
            Admission::Lead(instance, entry) => {
                assert!(self.waiting.is_empty(), "nobody overtakes those who wait");
                assert_eq!(entry.payload, id);
                self.answered.push(id);
                self.leading.push((instance, group));
            }
            Admission::Wait(ticket) => {
                assert_eq!(self.leading.len(), instances, "waits only while every instance is led");
                self.tickets.insert(id, ticket);
                self.waiting.push((id, rows, group));
            }
            Admission::Full(entry) => {
                assert!(self.queue.rows() + rows > self.max_rows, "refused only for want of room");
                self.answered.push(entry.payload);
            }
        }
    }

    fn join(&mut self, group: usize, room: usize) {
        let expected = self.queue.joinable_rows(&smallvec![group]);
        let joined = self.queue.join(&smallvec![group], room);
        let rows: usize = joined.iter().map(|entry| entry.rows).sum();
        assert!(rows <= room && rows <= expected);
        assert!(joined.windows(2).all(|pair| pair[0].payload < pair[1].payload), "oldest first");
        for entry in joined {
            let oldest = self.waiting.iter().find(|waiter| waiter.2 == group).expect("waits").0;
            assert_eq!(entry.payload, oldest, "in order of arrival within the group");
            assert_eq!(self.leave(entry.payload).2, group, "of one group only");
        }
    }

    fn hand_back(&mut self, instance: usize) {
        match self.queue.hand_back(instance) {
            Handover::Free => assert!(self.waiting.is_empty(), "no instance rests while somebody waits"),
            Handover::Appoint(instance, entry) => {
                assert_eq!(entry.payload, self.waiting[0].0, "who waited longest leads");
                let (_, _, group) = self.leave(entry.payload);
                self.leading.push((instance, group));
            }
        }
    }

    fn check(&self) {
        let rows: usize = self.waiting.iter().map(|waiter| waiter.1).sum();
        assert_eq!(self.queue.rows(), rows);
        assert!(rows <= self.max_rows);
    }
}

proptest! {
    #[test]
    fn everyone_is_served_once_in_order_and_no_instance_rests_while_somebody_waits(
        events in prop::collection::vec(event(), 1..200),
        instances in 1..4_usize,
        max_rows in 1..20_usize,
    ) {
        let mut model = Model::new(instances, max_rows);
        for event in &events {
            model.apply(event, instances);
            model.check();
        }
        while let Some((instance, _)) = model.leading.pop() {
            model.hand_back(instance);
        }
        prop_assert!(model.waiting.is_empty());
        model.answered.sort_unstable();
        prop_assert_eq!(&model.answered, &(0..model.arrived).collect::<Vec<_>>(), "answered once each");
    }
}

#[test]
fn a_request_that_left_cannot_leave_again() {
    let mut queue = BatchQueue::new(vec![()], 8);
    let entry = |payload| Entry { rows: 1, group: Group::new(), payload };
    assert!(matches!(queue.admit(entry(0)), Admission::Lead((), _)));
    let Admission::Wait(ticket) = queue.admit(entry(1)) else { panic!("the only instance is led") };
    assert!(queue.withdraw(ticket).is_some());
    assert!(queue.withdraw(ticket).is_none());
    assert!(matches!(queue.hand_back(()), Handover::Free));
}
