//! Kinds of failed requests, and how often each occurred.

use std::{collections::BTreeMap, fmt};

/// Longest message that is kept, in characters.
const MESSAGE_CHARS: usize = 300;

/// The kind of a failure. The report counts failures by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// The response has status 200, but its content is wrong.
    Wrong,
    /// The server responded with this HTTP status.
    Status(u16),
    /// The server ended the call with this gRPC status.
    Grpc(i32),
    /// There was no response within the timeout.
    Timeout,
    /// In an open loop, the timeout passed while every connection was busy.
    NotSent,
    /// The connection was lost before the response was complete.
    Disconnected,
    /// No connection could be made.
    Connect,
}

impl FailureKind {
    /// Whether the server responded, so that the connection can be used again.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Status(_) | Self::Grpc(_))
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong => f.write_str("wrong answer"),
            Self::Status(status) => write!(f, "http {status}"),
            Self::Grpc(code) => write!(f, "grpc {:?}", tonic::Code::from(*code)),
            Self::Timeout => f.write_str("timeout"),
            Self::NotSent => f.write_str("not sent"),
            Self::Disconnected => f.write_str("disconnected"),
            Self::Connect => f.write_str("connect"),
        }
    }
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// What happened, on one line.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure of this kind. A long message is cut.
    pub fn new(kind: FailureKind, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let mut short: String = message.chars().take(MESSAGE_CHARS).collect();
        if short.len() < message.len() {
            short.push('…');
        }
        Self { kind, message: short }
    }
}

/// The number of failures of each kind, and the first message of each.
#[derive(Clone, Debug, Default)]
pub struct Failures(BTreeMap<FailureKind, (u64, String)>);

impl Failures {
    /// Counts one failure.
    pub fn add(&mut self, failure: Failure) {
        self.0.entry(failure.kind).or_insert((0, failure.message)).0 += 1;
    }

    /// Adds the counts of another thread.
    pub fn merge(&mut self, other: &Self) {
        for (&kind, (count, message)) in &other.0 {
            self.0.entry(kind).or_insert_with(|| (0, message.clone())).0 += count;
        }
    }

    /// The number of failures of this kind.
    pub fn count(&self, kind: FailureKind) -> u64 {
        self.0.get(&kind).map_or(0, |&(count, _)| count)
    }

    /// The number of all failures.
    pub fn total(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// Kind, count and first message, ordered by kind.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64, &str)> {
        self.0.iter().map(|(&kind, (count, message))| (kind, *count, message.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_message_of_each_kind() {
        let mut failures = Failures::default();
        failures.add(Failure::new(FailureKind::Status(429), "queue full"));
        failures.add(Failure::new(FailureKind::Status(429), "still full"));
        failures.add(Failure::new(FailureKind::Wrong, "output 'sum' is missing"));
        let mut other = Failures::default();
        other.add(Failure::new(FailureKind::Status(429), "full elsewhere"));
        failures.merge(&other);
        let all: Vec<_> = failures.iter().collect();
        assert_eq!(
            all,
            [(FailureKind::Wrong, 1, "output 'sum' is missing"), (FailureKind::Status(429), 3, "queue full")]
        );
        assert_eq!((failures.total(), failures.count(FailureKind::Timeout)), (4, 0));
    }

    #[test]
    fn cuts_long_messages() {
        let failure = Failure::new(FailureKind::Status(500), "é".repeat(1000));
        assert_eq!(failure.message.chars().count(), MESSAGE_CHARS + 1);
    }
}
