//! A rule for each operator: what it does with rows.

mod convolution;
mod einsum;
mod elementwise;
mod gather;
mod matmul;
mod microsoft;
mod ml;
mod normalise;
mod quantised;
mod random;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod scatter;
mod sequence;
mod shape;
mod signal;
mod slice;
mod strings;

pub(crate) use random::draws;
pub(crate) use strings::PADS;

use super::node::{Node, Outcome};

/// The rule of an operator, and properties of its inputs and outputs.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) rule: fn(&mut Node<'_>) -> Outcome,
    /// Bit mask of the inputs that only determine shapes. Such an input may depend on the number of rows.
    pub(crate) sizes: u32,
    /// Bit mask of the inputs whose values determine the size of an output, regardless of the size of the other inputs.
    pub(crate) grows: u32,
    /// Whether the rule accepts inputs of every state, also mixed ones.
    pub(crate) any_state: bool,
    /// Whether the outputs depend only on the shapes of the inputs.
    pub(crate) shape_only: bool,
}

pub(crate) const fn entry(rule: fn(&mut Node<'_>) -> Outcome) -> Entry {
    Entry { rule, sizes: 0, grows: 0, any_state: false, shape_only: false }
}

impl Entry {
    pub(crate) const fn sizes(self, sizes: u32) -> Self {
        Self { sizes, ..self }
    }

    pub(crate) const fn grows(self, grows: u32) -> Self {
        Self { grows, ..self }
    }

    pub(crate) const fn any_state(self) -> Self {
        Self { any_state: true, ..self }
    }

    pub(crate) const fn shape_only(self) -> Self {
        Self { shape_only: true, ..self }
    }
}

/// The rule of an operator.
pub(crate) fn find(domain: &str, operator: &str) -> Option<Entry> {
    match domain {
        "" => [
            elementwise::find,
            shape::find,
            reshape::find,
            gather::find,
            slice::find,
            matmul::find,
            normalise::find,
            reduce::find,
            convolution::find,
            resize::find,
            scatter::find,
            quantised::find,
            recurrent::find,
            sequence::find,
            strings::find,
            signal::find,
            random::find,
        ]
        .iter()
        .find_map(|find| find(operator)),
        "ai.onnx.ml" => ml::find(operator),
        "com.microsoft.nchwc" => microsoft::blocked(operator),
        "com.microsoft" => microsoft::find(operator),
        _ => None,
    }
}
