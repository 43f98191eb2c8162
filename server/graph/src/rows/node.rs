//! A node with what is known of its inputs, as the rules see it.

use std::{borrow::Cow, rc::Rc};

use super::{
    attribute, contents,
    size::{Size, Sizes},
    value::{Layout, State, Value},
};
use crate::proto::NodeProto;

/// Why the outputs of a node do not have the rows apart: the rest of a sentence that starts with the node.
#[derive(Debug)]
pub(crate) struct Mixes {
    pub(crate) reason: Cow<'static, str>,
    /// Whether it mixes even where all inputs are constants.
    pub(crate) always: bool,
}

/// What a node gives, or why it mixes rows.
pub(crate) type Outcome = Result<Vec<Value>, Mixes>;

pub(crate) fn mixes(reason: impl Into<Cow<'static, str>>) -> Mixes {
    Mixes { reason: reason.into(), always: false }
}

pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
    pub(crate) inputs: &'a [Option<Value>],
    pub(crate) sizes: &'a mut Sizes,
    /// The version of the operator set of the node's domain.
    pub(crate) opset: i64,
    /// What makes it likely that a later node mixes rows.
    pub(crate) suspicion: Option<&'static str>,
}

impl<'a> Node<'a> {
    pub(crate) fn optional(&self, input: usize) -> Option<&'a Value> {
        self.inputs.get(input).and_then(Option::as_ref)
    }

    pub(crate) fn value(&self, input: usize) -> Result<&'a Value, Mixes> {
        self.optional(input).ok_or_else(|| mixes("lacks an input"))
    }

    pub(crate) fn shape(&self, input: usize) -> Result<&'a Rc<[Size]>, Mixes> {
        self.value(input)?.shape.as_ref().ok_or_else(|| mixes("has an input of unknown rank"))
    }

    pub(crate) fn layout(&self, input: usize) -> Option<Layout> {
        self.optional(input).and_then(Value::layout)
    }

    /// Whether some input has rows.
    pub(crate) fn has_rows(&self) -> bool {
        self.inputs.iter().flatten().any(|value| value.layout().is_some())
    }

    /// An error where an input that follows from the number of rows would be combined with one that has rows.
    pub(crate) fn refuse_counts(&self) -> Result<(), Mixes> {
        let counts = |value: &Value| !matches!(value.state, State::Free | State::Rows(_));
        if self.has_rows() && self.inputs.iter().flatten().any(counts) {
            return Err(mixes("takes in how many rows there are"));
        }
        Ok(())
    }

    /// The state of an output that follows from all inputs.
    pub(crate) fn state_of(&self, rows: Option<Layout>) -> State {
        match rows {
            Some(rows) => State::Rows(rows),
            None if self.inputs.iter().flatten().all(Value::is_free) => State::Free,
            None => State::Count,
        }
    }

    /// An error unless the input is absent, or the same for all rows.
    pub(crate) fn free(&self, input: usize) -> Result<(), Mixes> {
        match self.optional(input) {
            Some(value) if value.layout().is_some() => Err(mixes(format!(
                "has rows in input {input}, where only the same tensor for all rows keeps them apart"
            ))),
            _ => Ok(()),
        }
    }

    /// An error unless all inputs but these are absent, or the same for all rows.
    pub(crate) fn others_free(&self, rows: &[usize]) -> Result<(), Mixes> {
        (0..self.inputs.len()).filter(|input| !rows.contains(input)).try_for_each(|input| self.free(input))
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        attribute::int(self.proto, name).unwrap_or(default)
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        attribute::text(self.proto, name).unwrap_or_default()
    }

    pub(crate) fn contents(&self, input: usize) -> Option<&'a [Size]> {
        self.optional(input).and_then(|value| value.contents.as_deref())
    }

    /// Numbers that an attribute has in old versions of an operator, and an input in newer ones. None where they are not
    /// given, an error where they are not known.
    pub(crate) fn numbers(&mut self, name: &str, input: usize) -> Result<Option<Vec<Size>>, Mixes> {
        if let Some(given) = attribute::ints(self.proto, name) {
            return Ok(Some(given.iter().map(|&value| self.sizes.constant(value)).collect()));
        }
        match self.optional(input) {
            None => Ok(None),
            Some(value) => match &value.contents {
                Some(contents) => Ok(Some(contents.to_vec())),
                None => Err(mixes(format!("has '{name}' that the graph does not tell"))),
            },
        }
    }

    /// As [`Self::numbers`], where they are axes of a tensor of this rank.
    pub(crate) fn axes(&mut self, input: usize, rank: usize) -> Result<Option<Vec<usize>>, Mixes> {
        let Some(numbers) = self.numbers("axes", input)? else { return Ok(None) };
        let axes = numbers.iter().map(|&axis| self.axis_of(axis, rank)).collect::<Result<_, _>>()?;
        Ok(Some(axes))
    }

    pub(crate) fn axis_of(&self, axis: Size, rank: usize) -> Result<usize, Mixes> {
        let axis =
            self.sizes.as_constant(axis).ok_or_else(|| mixes("has an axis that the graph does not tell"))?;
        self::axis(axis, rank)
    }

    /// An axis given by an attribute.
    pub(crate) fn axis(&self, default: i64, rank: usize) -> Result<usize, Mixes> {
        axis(self.int("axis", default), rank)
    }

    /// An unknown dimension.
    pub(crate) fn fresh(&mut self) -> Size {
        let counts = self.inputs.iter().flatten().any(|v| !matches!(v.state, State::Free | State::Rows(_)));
        self.sizes.fresh(counts)
    }

    /// Dimensions as numbers, where the tensor is small.
    pub(crate) fn small(&self, shape: &[Size]) -> Option<Vec<usize>> {
        contents::small_shape(shape, self.sizes)
    }

    /// One output for each that the node names.
    pub(crate) fn repeat(&self, value: &Value) -> Vec<Value> {
        vec![value.clone(); self.proto.output.len()]
    }
}

pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Mixes> {
    let from_end = if axis < 0 { i64::try_from(rank).unwrap_or(i64::MAX) } else { 0 };
    usize::try_from(axis.saturating_add(from_end))
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| mixes("has an axis that its input lacks"))
}
