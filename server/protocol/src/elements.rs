//! Elements of BYTES tensors. Each element is a little-endian `u32` length, followed by that number of bytes.

/// Iterates over the elements packed in `data`. The iterator ends early if a length runs beyond the end of `data`.
pub fn bytes_elements(data: &[u8]) -> BytesElements<'_> {
    BytesElements { rest: data }
}

/// Appends one element to `data`. Panics if the element is 4 GiB or longer, because the length prefix has 32 bits.
pub fn push_bytes_element(data: &mut Vec<u8>, element: &[u8]) {
    let length = u32::try_from(element.len()).expect("an element of a BYTES tensor is shorter than 4 GiB");
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(element);
}

/// Iterator made by [`bytes_elements`].
#[derive(Clone, Debug)]
pub struct BytesElements<'a> {
    rest: &'a [u8],
}

impl<'a> BytesElements<'a> {
    /// The bytes that the iterator has not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for BytesElements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*prefix)).ok()?;
        let (element, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(element)
    }
}
