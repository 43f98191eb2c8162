//! Reads the elements of a tensor: a JSON array, nested in any way, becomes packed little-endian bytes.

use bytes::Bytes;
use half::{bf16, f16};

use super::{
    common::{self, LONGEST_RUN, WINDOW, Zeros},
    number::Number,
    reader::{Reader, once},
};
use crate::{Datatype, Problem, Shape, Tensor, decode_base64, excerpt::excerpt, push_bytes_element};

/// Key of the object that holds a BYTES element in base64.
pub(super) const BASE64: &str = "b64";

/// What `null` means as an element of a floating-point tensor. In tensors of other datatypes `null` is always an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nulls {
    /// An error.
    #[default]
    Refuse,
    /// NaN, which JSON has no number for.
    Nan,
}

/// Reads the next array into a tensor. The nesting need not follow the shape, but the number of elements must match it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    datatype: Datatype,
    shape: Shape,
    nulls: Nulls,
) -> Result<Tensor, Problem> {
    let Some(expected) = shape.elements() else {
        return Err(Problem::TooManyElements(shape));
    };
    let mut elements = Elements { expected, ..Elements::new(datatype, nulls) };
    let got = match datatype {
        Datatype::Bool => elements.read::<bool>(reader),
        Datatype::Uint8 => elements.read::<u8>(reader),
        Datatype::Uint16 => elements.read::<u16>(reader),
        Datatype::Uint32 => elements.read::<u32>(reader),
        Datatype::Uint64 => elements.read::<u64>(reader),
        Datatype::Int8 => elements.read::<i8>(reader),
        Datatype::Int16 => elements.read::<i16>(reader),
        Datatype::Int32 => elements.read::<i32>(reader),
        Datatype::Int64 => elements.read::<i64>(reader),
        Datatype::Fp16 => elements.read::<f16>(reader),
        Datatype::Bf16 => elements.read::<bf16>(reader),
        Datatype::Fp32 => elements.read::<f32>(reader),
        Datatype::Fp64 => elements.read::<f64>(reader),
        Datatype::Bytes => elements.read::<Text>(reader),
    }?;
    if got != expected {
        return Err(Problem::ElementCount { shape, expected, got, list: "data" });
    }
    Ok(Tensor { datatype, shape, data: Bytes::from(elements.packed) })
}

/// The elements read so far.
pub(super) struct Elements {
    datatype: Datatype,
    nulls: Nulls,
    /// Number of elements that the shape gives, if the shape is already known.
    expected: usize,
    /// How the last zero was spelled.
    zeros: Zeros,
    pub(super) packed: Vec<u8>,
}

impl Elements {
    pub(super) fn new(datatype: Datatype, nulls: Nulls) -> Self {
        Self { datatype, nulls, expected: 0, zeros: Zeros::PLAIN, packed: Vec::new() }
    }

    /// Reads the next array. Returns the number of its elements.
    fn read<E: Element>(&mut self, reader: &mut Reader<'_>) -> Result<usize, Problem> {
        reader.require(b'[', "an array of elements")?;
        reader.enter()?;
        self.reserve(reader, E::SIZE);
        let (mut depth, mut count) = (1, 0);
        // An array may be empty, but after a comma there must be an element.
        let mut may_close = true;
        loop {
            let common = E::read_common(self, reader);
            if common > 0 {
                count += common;
                may_close = false;
            }
            match reader.bytes.get(reader.offset) {
                // The text may have more white space than the fast path accepts. Skip it and try the fast path again.
                Some(b' ' | b'\n' | b'\t' | b'\r') => {
                    reader.offset += 1;
                    continue;
                }
                Some(b'[') => {
                    reader.offset += 1;
                    reader.enter()?;
                    depth += 1;
                    may_close = true;
                    continue;
                }
                Some(b']') if may_close => {}
                _ => {
                    E::read(self, reader)?;
                    count += 1;
                }
            }
            while !reader.eat(b',') {
                reader.require(b']', "',' or ']'")?;
                reader.leave();
                depth -= 1;
                if depth == 0 {
                    return Ok(count);
                }
            }
            may_close = false;
        }
    }

    /// Reads numbers as long as they are runs of zeros or `common` accepts them, and a whole window of text is left.
    /// Returns how many it read.
    #[inline]
    fn read_numbers<const SIZE: usize>(
        &mut self,
        reader: &mut Reader<'_>,
        common: impl Fn(&[u8; WINDOW]) -> Option<([u8; SIZE], usize)>,
    ) -> usize {
        let (bytes, mut offset, mut count, mut zeros) = (reader.bytes, reader.offset, 0, self.zeros);
        let packed = &mut self.packed;
        while let Some(window) = bytes[offset..].first_chunk::<WINDOW>() {
            let (run, length) = zeros.run(window);
            if run > 0 {
                let end = packed.len() + run * SIZE;
                // Always append the same number of bytes: a constant size needs no loop.
                packed.extend_from_slice(&[0; LONGEST_RUN * 8][..LONGEST_RUN * SIZE]);
                packed.truncate(end);
                (offset, count) = (offset + length, count + run);
                continue;
            }
            let Some((element, length)) = common(window) else { break };
            packed.extend_from_slice(&element);
            if length <= 4
                && window[0] == b'0'
                && let Some(spelled) = Zeros::spelled(window)
            {
                zeros = spelled;
            }
            // Many writers put a space after each comma.
            (offset, count) = (offset + length + usize::from(window[length] == b' '), count + 1);
        }
        (reader.offset, self.zeros) = (offset, zeros);
        count
    }

    /// Reserves memory for the elements that the shape gives, but for no more than the rest of the body can hold (each
    /// element takes a comma and at least one digit). So a client cannot make the server allocate memory by a large
    /// shape alone.
    fn reserve(&mut self, reader: &Reader<'_>, size: usize) {
        let at_most = (reader.bytes.len() - reader.offset) / 2 + 1;
        self.packed.reserve_exact((self.expected.min(at_most) + LONGEST_RUN) * size);
    }
}

/// A type of element that can be read from JSON.
pub(super) trait Element {
    /// Memory to reserve per element, in bytes.
    const SIZE: usize;

    /// Reads elements in a usual spelling, each with the comma after it, and appends them. Returns how many. The caller
    /// must then read at least one more element.
    #[inline]
    fn read_common(_elements: &mut Elements, _reader: &mut Reader<'_>) -> usize {
        0
    }

    /// Reads the next element and appends it.
    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem>;
}

/// Implements [`Element`] for a datatype that JSON writes as numbers. `$words` are the values of [`WORDS`], if the
/// datatype has them. `$common` reads numbers in a usual spelling. `$convert` returns `None` for a number outside the
/// datatype.
macro_rules! number_element {
    ($type:ty, $words:expr, $common:expr, $convert:expr) => {
        impl Element for $type {
            const SIZE: usize = size_of::<Self>();

            #[inline]
            fn read_common(elements: &mut Elements, reader: &mut Reader<'_>) -> usize {
                elements.read_numbers(reader, |window| {
                    let (value, length): (Self, _) = $common(window)?;
                    Some((value.to_le_bytes(), length))
                })
            }

            #[inline]
            fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
                let words: Option<[Self; WORDS.len()]> = $words;
                let Some(number) = reader.number_here() else {
                    let value = elements.word(reader, words)?;
                    elements.packed.extend_from_slice(&value.to_le_bytes());
                    return Ok(());
                };
                let value: Option<Self> = $convert(number);
                let Some(value) = value else {
                    return Err(elements.refused(reader, number, words.is_none()));
                };
                elements.packed.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
        }
    };
}

macro_rules! integer_element {
    ($($type:ty),*) => {$(
        number_element!($type, None, common::integer::<$type>, |number: Number<'_>| {
            if number.is_integer() { number.to_i128()?.try_into().ok() } else { None }
        });
    )*};
}

/// The values that JSON has no number for, as Python, Java and Triton write them.
pub(super) const WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

macro_rules! float_words {
    ($type:ty) => {
        Some([<$type>::NAN, <$type>::INFINITY, <$type>::NEG_INFINITY])
    };
}

integer_element!(u8, u16, u32, u64, i8, i16, i32, i64);
number_element!(f32, float_words!(f32), common::single, Number::to_f32);
number_element!(f64, float_words!(f64), common::integer::<f64>, Number::to_f64);
number_element!(f16, float_words!(f16), |_| None, |number: Number<'_>| {
    // `from_f64` may convert by way of FP32 and so round twice; `from_f64_const` rounds once.
    number.to_f64().map(f16::from_f64_const).filter(|value| value.is_finite())
});
number_element!(bf16, float_words!(bf16), |_| None, |number: Number<'_>| {
    number.to_f64().map(bf16::from_f64_const).filter(|value| value.is_finite())
});

impl Elements {
    /// Reads a value that is not a number: one of [`WORDS`], or `null`.
    #[cold]
    fn word<T: Copy>(&self, reader: &mut Reader<'_>, words: Option<[T; WORDS.len()]>) -> Result<T, Problem> {
        let (offset, datatype) = (reader.offset, self.datatype);
        if reader.null() {
            return match words {
                Some([nan, ..]) if self.nulls == Nulls::Nan => Ok(nan),
                Some(_) => Err(Problem::NullFloat { offset }),
                None => Err(Problem::Null { offset, datatype }),
            };
        }
        let Some(index) = reader.one_of(&WORDS) else { return Err(reader.not_a_number("a number")) };
        let value = WORDS[index].into();
        words.map(|words| words[index]).ok_or(Problem::NotInteger { offset, value, datatype })
    }

    /// The error about the number just read.
    #[cold]
    fn refused(&self, reader: &Reader<'_>, number: Number<'_>, integers_only: bool) -> Problem {
        let text = number.as_str();
        let (offset, value, datatype) = (reader.offset - text.len(), excerpt(text), self.datatype);
        if integers_only && !number.is_integer() {
            return Problem::NotInteger { offset, value, datatype };
        }
        Problem::OutOfRange { offset, value, datatype }
    }
}

impl Element for bool {
    const SIZE: usize = 1;

    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
        const EXPECTED: &str = "true, false, 0 or 1";
        let value = match reader.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let number = reader.number(EXPECTED)?;
                match number.to_i128().filter(|_| number.is_integer()) {
                    Some(0) => false,
                    Some(1) => true,
                    _ => return Err(elements.refused(reader, number, true)),
                }
            }
            _ => reader.boolean(EXPECTED)?,
        };
        elements.packed.push(u8::from(value));
        Ok(())
    }
}

/// An element of a BYTES tensor: a string, or an object with a string in base64.
pub(super) struct Text;

impl Element for Text {
    const SIZE: usize = 4;

    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
        if reader.peek() == Some(b'{') {
            return elements.blob(reader);
        }
        let text = reader.utf8("a string")?;
        push_bytes_element(&mut elements.packed, &text);
        Ok(())
    }
}

impl Elements {
    /// Reads an object whose only key is [`BASE64`].
    #[cold]
    fn blob(&mut self, reader: &mut Reader<'_>) -> Result<(), Problem> {
        let mut blob = None;
        reader.object("a string or an object", |reader, key| {
            let start = reader.offset;
            if key != BASE64.as_bytes() {
                return Err(Problem::OtherKey { offset: start, key: excerpt(&String::from_utf8_lossy(key)) });
            }
            let text = reader.string("base64 in double quotes")?;
            let decoded = decode_base64(text.as_bytes())
                .map_err(|_| Problem::Base64 { offset: start, value: excerpt(&text) })?;
            once(&mut blob, decoded, reader, BASE64)
        })?;
        let blob = blob.ok_or(Problem::Missing(BASE64))?;
        push_bytes_element(&mut self.packed, &blob);
        Ok(())
    }
}
