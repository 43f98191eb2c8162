//! A node and what is known of its inputs. The rules work on this type.

use std::{borrow::Cow, rc::Rc};

use super::{
    attribute, contents,
    size::{Size, Sizes},
    value::{Layout, State, Value},
};
use crate::proto::NodeProto;

/// Why a node does not keep the rows of its outputs independent.
#[derive(Debug)]
pub(crate) struct Mixes {
    pub(crate) reason: Cow<'static, str>,
    /// Whether the node mixes rows even if all its inputs are constants.
    pub(crate) always: bool,
}

/// The outputs of a node, or why it mixes rows.
pub(crate) type Outcome = Result<Vec<Value>, Mixes>;

pub(crate) fn mixes(reason: impl Into<Cow<'static, str>>) -> Mixes {
    Mixes { reason: reason.into(), always: false }
}

pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
    pub(crate) inputs: &'a [Option<Value>],
    pub(crate) sizes: &'a mut Sizes,
    /// The opset version of the node's domain.
    pub(crate) opset: i64,
    /// A likely cause, found here, if a later node mixes rows.
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

    /// Fails if one input has rows and another depends on the number of rows.
    pub(crate) fn refuse_counts(&self) -> Result<(), Mixes> {
        let counts = |value: &Value| !matches!(value.state, State::Free | State::Rows(_));
        if self.has_rows() && self.inputs.iter().flatten().any(counts) {
            return Err(mixes("computes with the number of rows"));
        }
        Ok(())
    }

    /// The state of an output that depends on all inputs.
    pub(crate) fn state_of(&self, rows: Option<Layout>) -> State {
        match rows {
            Some(rows) => State::Rows(rows),
            None if self.inputs.iter().flatten().all(Value::is_free) => State::Free,
            None => State::Count,
        }
    }

    /// Fails unless the input is absent or the same for all rows.
    pub(crate) fn free(&self, input: usize) -> Result<(), Mixes> {
        match self.optional(input) {
            Some(value) if value.layout().is_some() => {
                Err(mixes(format!("has rows in input {input}, which must be the same for all rows")))
            }
            _ => Ok(()),
        }
    }

    /// Fails unless all inputs except `rows` are absent or the same for all rows.
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

    /// Numbers that are an attribute in old versions of an operator and an input in newer ones. `None` if they are not
    /// given. Fails if they are not known.
    pub(crate) fn numbers(&mut self, name: &str, input: usize) -> Result<Option<Vec<Size>>, Mixes> {
        if let Some(given) = attribute::ints(self.proto, name) {
            return Ok(Some(given.iter().map(|&value| self.sizes.constant(value)).collect()));
        }
        match self.optional(input) {
            None => Ok(None),
            Some(value) => match &value.contents {
                Some(contents) => Ok(Some(contents.to_vec())),
                None => Err(mixes(format!("has '{name}' that the graph does not determine"))),
            },
        }
    }

    /// The same as [`Self::numbers`] for axes of a tensor of this rank. Negative axes are resolved.
    pub(crate) fn axes(&mut self, input: usize, rank: usize) -> Result<Option<Vec<usize>>, Mixes> {
        let Some(numbers) = self.numbers("axes", input)? else { return Ok(None) };
        let axes = numbers.iter().map(|&axis| self.axis_of(axis, rank)).collect::<Result<_, _>>()?;
        Ok(Some(axes))
    }

    pub(crate) fn axis_of(&self, axis: Size, rank: usize) -> Result<usize, Mixes> {
        let axis = self
            .sizes
            .as_constant(axis)
            .ok_or_else(|| mixes("has an axis that the graph does not determine"))?;
        self::axis(axis, rank)
    }

    /// The axis that the attribute `axis` gives, or `default`.
    pub(crate) fn axis(&self, default: i64, rank: usize) -> Result<usize, Mixes> {
        axis(self.int("axis", default), rank)
    }

    /// An unknown dimension.
    pub(crate) fn fresh(&mut self) -> Size {
        let counts = self.inputs.iter().flatten().any(|v| !matches!(v.state, State::Free | State::Rows(_)));
        self.sizes.fresh(counts)
    }

    /// The dimensions as numbers, if all are constant and the tensor is small.
    pub(crate) fn small(&self, shape: &[Size]) -> Option<Vec<usize>> {
        contents::small_shape(shape, self.sizes)
    }

    /// The same value for each output of the node.
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
