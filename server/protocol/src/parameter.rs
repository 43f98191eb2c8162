//! Parameters of requests, responses and tensors.

use compact_str::CompactString;

/// Value of a parameter; the kinds are those of `InferParameter` in the protocol's gRPC form.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A truth value.
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

/// Parameters in the order in which they came: there are rarely more than two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(pub Vec<(CompactString, Parameter)>);

impl Parameters {
    /// The value of `name`; the last one where it came twice, as JSON readers do.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
