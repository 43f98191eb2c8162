//! Parameters of requests, responses and tensors.

use compact_str::CompactString;

/// Value of a parameter. The types are those of `InferParameter` in the gRPC protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A boolean.
    Bool(bool),
    /// An integer that fits in 64 signed bits.
    Int64(i64),
    /// An integer above `i64::MAX`.
    Uint64(u64),
    /// Any other number.
    Double(f64),
    /// A string.
    String(CompactString),
}

/// Parameters in the order in which they came. A list is fast enough, because there are rarely more than two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(pub Vec<(CompactString, Parameter)>);

impl Parameters {
    /// The value of `name`. If the name appears twice, the last value counts, as in other JSON readers.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
