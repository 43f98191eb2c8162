//! Tensors: a datatype, a shape and packed bytes.

use bytes::Bytes;

use crate::{Datatype, Problem, Shape, bytes_elements};

/// A tensor's datatype, shape and elements.
///
/// `data` holds the elements in row-major order, little-endian and packed, as in the binary tensor data extension: a
/// BOOL is one byte, an element of BYTES is a `u32` length followed by that number of bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Datatype of the elements.
    pub datatype: Datatype,
    /// Size along each axis.
    pub shape: Shape,
    /// The elements. Their address need not be aligned.
    pub data: Bytes,
}

impl Tensor {
    /// Makes a tensor, after checking that the size of `data` matches `datatype` and `shape`.
    ///
    /// # Errors
    /// [`Problem::TooManyElements`], [`Problem::ByteCount`], [`Problem::Prefixes`] for BYTES, or
    /// [`Problem::NotBool`] for BOOL.
    pub fn new(datatype: Datatype, shape: Shape, data: Bytes) -> Result<Self, Problem> {
        let tensor = Self { datatype, shape, data };
        tensor.check()?;
        Ok(tensor)
    }

    /// Checks that the size of the data matches the datatype and shape, and that its values are valid.
    ///
    /// # Errors
    /// The same as those of [`Tensor::new`].
    pub fn check(&self) -> Result<(), Problem> {
        let too_many = || Problem::TooManyElements(self.shape.clone());
        let expected = self.shape.elements().ok_or_else(too_many)?;
        let Some(size) = self.datatype.size() else {
            return self.check_prefixes(expected);
        };
        let expected = expected.checked_mul(size).ok_or_else(too_many)?;
        if self.data.len() == expected {
            return self.check_values();
        }
        let (datatype, shape, got) = (self.datatype, self.shape.clone(), self.data.len());
        Err(Problem::ByteCount { datatype, shape, expected, got })
    }

    /// Checks that the elements of a BOOL tensor are 0 or 1. All other datatypes accept any bytes.
    fn check_values(&self) -> Result<(), Problem> {
        if self.datatype != Datatype::Bool {
            return Ok(());
        }
        match self.data.iter().position(|&byte| byte > 1) {
            Some(index) => Err(Problem::NotBool { index, value: self.data[index] }),
            None => Ok(()),
        }
    }

    fn check_prefixes(&self, expected: usize) -> Result<(), Problem> {
        let mut elements = bytes_elements(&self.data);
        let got = elements.by_ref().count();
        if got == expected && elements.rest().is_empty() {
            return Ok(());
        }
        Err(Problem::Prefixes { shape: self.shape.clone(), expected, got, size: self.data.len() })
    }

    /// Size of the first axis. `None` for a scalar.
    pub fn rows(&self) -> Option<usize> {
        self.shape.0.first().copied()
    }

    /// Rows `start..start + count` as a tensor that shares this one's memory.
    ///
    /// `None` if the tensor does not have these rows. For BYTES, this scans the elements from the first one on.
    pub fn slice_rows(&self, start: usize, count: usize) -> Option<Self> {
        let rows = self.rows()?;
        let end = start.checked_add(count).filter(|&end| end <= rows)?;
        let mut shape = self.shape.clone();
        *shape.0.first_mut()? = count;
        let per_row = self.shape.elements()?.checked_div(rows).unwrap_or(0);
        let range = match self.datatype.size() {
            Some(size) => start * per_row * size..end * per_row * size,
            None => self.offset_of(start * per_row)..self.offset_of(end * per_row),
        };
        Some(Self { datatype: self.datatype, shape, data: self.data.slice(range) })
    }

    /// The slice `start..start + count` along `axis` as a tensor. A slice along the first axis shares this tensor's
    /// memory; a slice along another axis is a copy.
    ///
    /// `None` if the tensor does not have this slice, or if it has BYTES and the axis is not the first.
    pub fn slice_along(&self, axis: usize, start: usize, count: usize) -> Option<Self> {
        if axis == 0 {
            return self.slice_rows(start, count);
        }
        let size = *self.shape.0.get(axis)?;
        let end = start.checked_add(count).filter(|&end| end <= size)?;
        let inner = self.shape.0[axis + 1..].iter().product::<usize>() * self.datatype.size()?;
        let mut shape = self.shape.clone();
        shape.0[axis] = count;
        let mut data = Vec::with_capacity(shape.elements()? * self.datatype.size()?);
        for whole in self.data.chunks_exact((size * inner).max(1)) {
            data.extend_from_slice(&whole[start * inner..end * inner]);
        }
        Some(Self { datatype: self.datatype, shape, data: data.into() })
    }

    /// Byte offset of the BYTES element at `index`.
    fn offset_of(&self, index: usize) -> usize {
        let mut elements = bytes_elements(&self.data);
        elements.by_ref().take(index).for_each(drop);
        self.data.len() - elements.rest().len()
    }
}
