//! Shapes of tensors.

use std::fmt;

use smallvec::SmallVec;

/// The dimensions of a tensor. Up to four are stored without an allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Shape(pub SmallVec<[usize; 4]>);

impl Shape {
    /// The number of elements (1 for a scalar). `None` if it does not fit `usize`.
    pub fn elements(&self) -> Option<usize> {
        // A dimension of 0 makes the product 0, even if the product of the others does not fit.
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

/// Highest number of dimensions in a message. A client may send thousands, and an error must fit in a gRPC header.
const MAX_DIMS_SHOWN: usize = 16;

impl fmt::Display for Shape {
    /// Writes `[2,28,28,1]`, as in JSON. Of a longer shape it writes the first dimensions and their total number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, dim) in self.0.iter().take(MAX_DIMS_SHOWN).enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{dim}")?;
        }
        if self.0.len() > MAX_DIMS_SHOWN {
            write!(f, ",… of {} dimensions", self.0.len())?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_shape_is_shown_in_part() {
        assert_eq!(Shape::from(&[2, 28, 28, 1][..]).to_string(), "[2,28,28,1]");
        let long = Shape::from(&vec![usize::MAX; 10_000][..]).to_string();
        assert!(long.ends_with(",… of 10000 dimensions]") && long.len() < 400, "{long}");
    }
}
