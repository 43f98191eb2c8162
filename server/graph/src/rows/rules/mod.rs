//! What each operator does with rows.

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

/// A rule, and which inputs it reads for their sizes.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) rule: fn(&mut Node<'_>) -> Outcome,
    /// A bit for each input that sets shapes alone: what follows from the number of rows may go in.
    pub(crate) sizes: u32,
    /// A bit for each input whose values set how large an output is, however large the other inputs are.
    pub(crate) grows: u32,
    /// The rule decides on inputs of every state itself.
    pub(crate) any_state: bool,
    /// The outputs tell of the inputs' shapes alone.
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
