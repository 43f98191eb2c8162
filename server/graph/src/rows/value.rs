//! What the analysis knows of a value: its shape, its contents where they are few, and what it does with the rows.

use std::rc::Rc;

use bytes::Bytes;

use super::size::{Size, Sizes};

/// Contents of larger tensors are not followed.
pub(crate) const MOST_CONTENTS: usize = 64;

/// Where the rows lie: the axis has size `outer * rows * inner`, and element `(o * rows + row) * inner + i` of it depends
/// on that row alone, the same way for every row.
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

    /// Whether both lie the same way along their axes.
    pub(crate) fn matches(self, other: Self) -> bool {
        (self.outer, self.inner) == (other.outer, other.inner)
    }

    pub(crate) fn size(self, sizes: &mut Sizes) -> Size {
        sizes.product(&[self.outer, Size::ROWS, self.inner])
    }
}

/// Along an axis of size rows, each element is `row * step` and something that is the row's own, from 0 to below `bound`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    pub(crate) axis: usize,
    pub(crate) step: Size,
    pub(crate) bound: Size,
}

impl Numbers {
    /// The numbers of the rows themselves.
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

/// The number of a cause in the walk's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cause(pub(crate) u32);

/// What a value has to do with the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// The same whatever the rows are, and however many.
    Free,
    /// Follows from the number of rows alone. It may set shapes; it must not reach elements.
    Count,
    /// Has each row of its own.
    Rows(Layout),
    /// Numbers made from those of the rows, 0, 1, …, along an axis.
    Numbers(Numbers),
    /// Indices into the first axes of a tensor, in the columns of the last axis. The first column is the number of the row;
    /// the others depend on that row alone. The rows lie along this axis, whose size is their number.
    Places { axis: usize },
    /// Words, with a row for each text. All rows are as long as the longest text; shorter ones are filled up with
    /// [`Value::pad`].
    Padded,
    /// Depends on other rows, or on what is not known.
    Mixed(Cause),
}

/// What is known of a value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Value {
    /// `TensorProto.DataType`; 0 is unknown.
    pub(crate) data_type: i32,
    /// None where not even the rank is known.
    pub(crate) shape: Option<Rc<[Size]>>,
    /// The elements in row-major order, where they are few and known.
    pub(crate) contents: Option<Rc<[Size]>>,
    pub(crate) state: State,
    /// Its elements follow from values of the inputs, not from their shapes alone.
    pub(crate) from_data: bool,
    /// Where the elements are integers known to be from 0 to below this.
    pub(crate) bound: Option<Size>,
    /// The word at the end of shorter rows.
    pub(crate) pad: Option<Bytes>,
    /// Of a sequence of known length: its tensors.
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

    /// A value of this shape; the walk finds its state where the rule gives none.
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
        self.contents = contents.filter(|c| c.len() <= MOST_CONTENTS).map(Into::into);
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
