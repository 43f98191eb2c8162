//! When a request's time is up, and whose limit that is.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{ErrorCode, ServeError};

/// The time limit of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// When the time is up.
    pub(super) at: Instant,
    limit: Limit,
}

/// A length of time, by who set it.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// The server's `--request-timeout`.
    Server(Duration),
    /// The header `grpc-timeout`.
    Call(Duration),
    /// The parameter `timeout` in the request.
    Parameter(Duration),
}

impl Deadline {
    /// Makes the deadline of a request that came at `started`: after the client's limit or the server's, whichever is
    /// shorter.
    pub(super) fn new(started: Instant, server: Duration, client: Option<Duration>) -> Self {
        match client {
            Some(client) if client < server => Self { at: started + client, limit: Limit::Call(client) },
            _ => Self { at: started + server, limit: Limit::Server(server) },
        }
    }

    /// Returns the deadline of a request with this parameter `timeout`, which counts from now.
    pub(super) fn with_parameter(self, timeout: Option<Duration>) -> Self {
        let own = timeout.and_then(|timeout| Some((timeout, Instant::now().checked_add(timeout)?)));
        match own {
            Some((timeout, at)) if at < self.at => Self { at, limit: Limit::Parameter(timeout) },
            _ => self,
        }
    }

    /// Adds to the error of a request that ran out of time which limit that was. `timeout` is the request's parameter.
    /// Other errors stay as they are.
    pub(super) fn name_in(self, error: ServeError, timeout: Option<Duration>) -> ServeError {
        if error.code != ErrorCode::DeadlineExceeded {
            return error;
        }
        // Where the deadline is still to come, it was the parameter that ended the request.
        let limit = timeout.filter(|_| Instant::now() < self.at).map_or(self.limit, Limit::Parameter);
        let whose = match limit {
            Limit::Server(limit) => format!("--request-timeout is {}", length(limit)),
            Limit::Call(limit) => format!("its grpc-timeout is {}", length(limit)),
            Limit::Parameter(limit) => {
                format!("its parameter 'timeout' is {} (microseconds)", limit.as_micros())
            }
        };
        ServeError::new(error.code, format!("{}: {whose}", error.message))
    }
}

/// A length of time for people, to the microsecond.
fn length(time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_micros(micros)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn said(client: Option<Duration>, own: Option<Duration>, is_over: bool) -> String {
        let started = Instant::now().checked_sub(if is_over { 60 * SECOND } else { Duration::ZERO }).unwrap();
        let late = ServeError::new(ErrorCode::DeadlineExceeded, "late");
        Deadline::new(started, 30 * SECOND, client).name_in(late, own).message.into_owned()
    }

    #[test]
    fn the_limit_that_passed_is_named() {
        let (short, long) = (Some(Duration::from_micros(30)), Some(90 * SECOND));
        assert_eq!(said(None, short, false), "late: its parameter 'timeout' is 30 (microseconds)");
        assert_eq!(said(long, None, true), "late: --request-timeout is 30s");
        assert_eq!(said(None, long, true), "late: --request-timeout is 30s");
        assert_eq!(
            said(Some(Duration::from_micros(2500)), None, true),
            "late: its grpc-timeout is 2ms 500us"
        );
    }

    #[test]
    fn a_parameter_that_was_counted_in_is_named_after_it_too() {
        let (started, own) = (Instant::now(), Some(Duration::from_micros(1)));
        let deadline = Deadline::new(started, SECOND, None).with_parameter(own);
        while Instant::now() < deadline.at {}
        let late = ServeError::new(ErrorCode::DeadlineExceeded, "late");
        assert!(deadline.name_in(late, own).message.ends_with("'timeout' is 1 (microseconds)"));
        let unchanged = Deadline::new(started, SECOND, None).with_parameter(Some(60 * SECOND));
        assert_eq!(unchanged.at, started + SECOND);
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let full = ServeError::new(ErrorCode::Overloaded, "full");
        let deadline = Deadline::new(Instant::now(), SECOND, None);
        assert_eq!(deadline.name_in(full.clone(), Some(SECOND)), full);
    }
}
