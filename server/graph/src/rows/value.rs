//! What the analysis knows of a value: its shape, the elements of small tensors, and how it depends on the rows.

use std::rc::Rc;

use bytes::Bytes;

use super::size::{Size, Sizes};

/// Largest tensor, in elements, whose elements are tracked.
pub(crate) const MAX_CONTENTS: usize = 64;

/// How rows are laid out along an axis. The axis has the size `outer * rows * inner`. Its element `(o * rows + row) *
/// inner + i` depends on that row only, in the same way for every row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) axis: usize,
    pub(crate) outer: Size,
    pub(crate) inner: Size,
}

impl Layout {
    pub(crate) const fn plain(axis: usize) -> Self {
        Self { axis, outer: Size::ONE, inner: Size::ONE }
    }

    pub(crate) const fn on(self, axis: usize) -> Self {
        Self { axis, ..self }
    }

    pub(crate) fn is_plain(self) -> bool {
        self.outer == Size::ONE && self.inner == Size::ONE
    }

    /// Whether both have the same outer and inner sizes.
    pub(crate) fn matches(self, other: Self) -> bool {
        (self.outer, self.inner) == (other.outer, other.inner)
    }

    pub(crate) fn size(self, sizes: &mut Sizes) -> Size {
        sizes.product(&[self.outer, Size::ROWS, self.inner])
    }
}

/// Numbers that contain the row number. The axis has one element per row, which is `row * step` plus an offset from 0
/// to below `bound` that depends on that row only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    pub(crate) axis: usize,
    pub(crate) step: Size,
    pub(crate) bound: Size,
}

impl Numbers {
    /// The row numbers themselves: 0, 1, …
    pub(crate) const fn plain(axis: usize) -> Self {
        Self { axis, step: Size::ONE, bound: Size::ONE }
    }

    pub(crate) const fn on(self, axis: usize) -> Self {
        Self { axis, ..self }
    }

    pub(crate) fn is_plain(self) -> bool {
        self == Self::plain(self.axis)
    }
}

/// Index of a reason in the walk's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cause(pub(crate) u32);

/// How a value depends on the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It is the same for any rows and any number of rows.
    Free,
    /// It depends on the number of rows only. Shapes may depend on it, elements must not.
    Count,
    /// It has independent rows.
    Rows(Layout),
    /// It has numbers computed from the row numbers 0, 1, …
    Numbers(Numbers),
    /// Indices into the first axes of a tensor, one index vector along the last axis. The first component is the row
    /// number; the others depend on that row only. The axis `axis` has one element per row.
    RowIndices { axis: usize },
    /// Words, one row per text. All rows have the length of the longest text; [`Value::pad`] fills the shorter ones.
    Padded,
    /// It depends on other rows, or the analysis cannot tell.
    Mixed(Cause),
}

/// What the analysis knows of a value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Value {
    /// A `TensorProto.DataType`; 0 if it is unknown.
    pub(crate) data_type: i32,
    /// `None` if not even the rank is known.
    pub(crate) shape: Option<Rc<[Size]>>,
    /// The elements in row-major order, if they are few and known.
    pub(crate) contents: Option<Rc<[Size]>>,
    pub(crate) state: State,
    /// Whether the elements depend on values of the inputs, and not only on their shapes.
    pub(crate) from_data: bool,
    /// If the elements are integers from 0 to below a known bound: that bound.
    pub(crate) bound: Option<Size>,
    /// The word that fills the end of shorter rows.
    pub(crate) pad: Option<Bytes>,
    /// The tensors of a sequence of known length.
    pub(crate) elements: Option<Rc<[Value]>>,
}

impl Value {
    pub(crate) fn unknown() -> Self {
        Self {
            data_type: 0,
            shape: None,
            contents: None,
            state: State::Free,
            from_data: false,
            bound: None,
            pad: None,
            elements: None,
        }
    }

    /// A value of this shape. The walk determines its state, unless the rule sets one.
    pub(crate) fn shaped(shape: impl Into<Rc<[Size]>>) -> Self {
        Self { shape: Some(shape.into()), ..Self::unknown() }
    }

    pub(crate) fn rows(shape: impl Into<Rc<[Size]>>, layout: Layout) -> Self {
        Self { state: State::Rows(layout), ..Self::shaped(shape) }
    }

    pub(crate) fn with_type(mut self, data_type: i32) -> Self {
        self.data_type = data_type;
        self
    }

    pub(crate) fn with_contents(mut self, contents: Option<Vec<Size>>) -> Self {
        self.contents = contents.filter(|c| c.len() <= MAX_CONTENTS).map(Into::into);
        self
    }

    pub(crate) fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    pub(crate) fn layout(&self) -> Option<Layout> {
        match self.state {
            State::Rows(layout) => Some(layout),
            _ => None,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    pub(crate) fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(|shape| shape.len())
    }
}
