//! The schedule policy extension: the parameters `priority` and `timeout` of a request.

use std::time::Duration;

use oip::{Parameter, Parameters};

use crate::error::ServeError;

/// The priority level of a request. 1 is the most urgent; 0 in a request stands for [`Priority::DEFAULT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The priority of a request without the parameter. One level is more urgent and the others are less urgent, so
    /// that a client can move a request forward as well as back.
    pub const DEFAULT: Self = Self(2);

    /// The least urgent level; greater numbers in a request mean the same. With each level, a request can be overtaken
    /// for longer, so the number of levels is limited.
    pub const LOWEST: Self = Self(8);

    /// Converts the number in a request to a priority.
    pub fn new(number: u64) -> Self {
        match u8::try_from(number) {
            Ok(0) => Self::DEFAULT,
            Ok(level) => Self(level).min(Self::LOWEST),
            Err(_) => Self::LOWEST,
        }
    }

    /// Returns the number of levels that are more urgent.
    pub fn levels_above(self) -> u64 {
        u64::from(self.0 - 1)
    }
}

/// The scheduling parameters of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its priority in the queue.
    pub priority: Priority,
    /// Longest time that it may wait and run; `None` for the server's own timeout.
    pub timeout: Option<Duration>,
}

impl Schedule {
    /// Reads `priority` and `timeout` (in microseconds, 0 for none). Ignores other parameters.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): one of them is no integer from 0 up.
    pub fn of(parameters: &Parameters) -> Result<Self, ServeError> {
        let priority = unsigned(parameters, "priority")?.unwrap_or(0);
        let timeout = unsigned(parameters, "timeout")?.filter(|&microseconds| microseconds > 0);
        Ok(Self { priority: Priority::new(priority), timeout: timeout.map(Duration::from_micros) })
    }
}

fn unsigned(parameters: &Parameters, name: &str) -> Result<Option<u64>, ServeError> {
    let shown = match parameters.get(name) {
        None => return Ok(None),
        Some(Parameter::Uint64(value)) => return Ok(Some(*value)),
        Some(Parameter::Int64(value)) => match u64::try_from(*value) {
            Ok(value) => return Ok(Some(value)),
            Err(_) => value.to_string(),
        },
        Some(Parameter::Double(value)) => value.to_string(),
        Some(Parameter::Bool(value)) => value.to_string(),
        Some(Parameter::String(_)) => "a string".to_owned(),
    };
    Err(ServeError::invalid(format!("parameter '{name}' must be an integer from 0 up, not {shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(name: &str, value: Parameter) -> Result<Schedule, u16> {
        Schedule::of(&Parameters(vec![(name.into(), value)])).map_err(|error| {
            assert!(error.message.contains(name), "{error}");
            error.code.http()
        })
    }

    #[test]
    fn zero_and_a_missing_parameter_are_the_default() {
        let nothing = Schedule { priority: Priority::DEFAULT, timeout: None };
        assert_eq!(Schedule::of(&Parameters::default()), Ok(nothing));
        for name in ["priority", "timeout", "sequence_id", "triton_anything"] {
            assert_eq!(schedule(name, Parameter::Int64(0)), Ok(nothing));
        }
        assert_eq!(schedule("sequence_start", Parameter::String("x".into())), Ok(nothing));
    }

    #[test]
    fn one_is_the_most_urgent_and_large_numbers_the_least() {
        let priority = |number| schedule("priority", Parameter::Uint64(number)).unwrap().priority;
        assert!(priority(1) < priority(0) && priority(0) < priority(3));
        assert_eq!(priority(1).levels_above(), 0);
        assert_eq!(priority(u64::MAX), Priority::LOWEST);
        assert_eq!(schedule("priority", Parameter::Int64(1)), schedule("priority", Parameter::Uint64(1)));
    }

    #[test]
    fn a_timeout_is_in_microseconds() {
        let timeout = |value| schedule("timeout", value).unwrap().timeout;
        assert_eq!(timeout(Parameter::Int64(1500)), Some(Duration::from_micros(1500)));
        assert_eq!(timeout(Parameter::Uint64(u64::MAX)), Some(Duration::from_micros(u64::MAX)));
    }

    #[test]
    fn values_other_than_integers_from_0_up_are_refused() {
        for name in ["priority", "timeout"] {
            for value in [
                Parameter::Int64(-1),
                Parameter::Double(1.0),
                Parameter::Bool(true),
                Parameter::String("1".into()),
            ] {
                assert_eq!(schedule(name, value), Err(400));
            }
        }
    }
}
