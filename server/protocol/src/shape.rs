//! Shapes of tensors.

use std::fmt;

use smallvec::SmallVec;

/// Dimensions of a tensor; few enough to need no allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Shape(pub SmallVec<[usize; 4]>);

impl Shape {
    /// The number of elements (1 for a scalar), `None` where it is beyond `usize`.
    pub fn elements(&self) -> Option<usize> {
        // A dimension of 0 makes the product 0 however large the others are.
        if self.0.contains(&0) {
            return Some(0);
        }
        self.0.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.iter().copied().collect())
    }
}

impl fmt::Display for Shape {
    /// Writes `[2,28,28,1]`, as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, dim) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
