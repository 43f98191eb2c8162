//! The elements of a tensor: an array of any nesting, read into packed little-endian bytes.

use bytes::Bytes;
use half::{bf16, f16};

use super::{number::Number, reader::Reader};
use crate::{Datatype, Problem, Shape, Tensor, error::excerpt, push_bytes_element};

/// What `null` among numbers means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Null {
    /// An error: in requests.
    Refused,
    /// NaN: in responses, where JSON has no other way to say it.
    Nan,
}

/// Reads the array at hand into a tensor. Its nesting need not follow the shape; its count must.
pub(super) fn read(
    reader: &mut Reader<'_>,
    datatype: Datatype,
    shape: Shape,
    null: Null,
) -> Result<Tensor, Problem> {
    let Some(expected) = shape.elements() else {
        return Err(Problem::TooManyElements(shape));
    };
    let mut elements = Elements { expected, ..Elements::new(datatype, null) };
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

/// Elements being read.
pub(super) struct Elements {
    datatype: Datatype,
    null: Null,
    /// How many the shape asks for, where that is known.
    expected: usize,
    pub(super) packed: Vec<u8>,
}

impl Elements {
    pub(super) fn new(datatype: Datatype, null: Null) -> Self {
        Self { datatype, null, expected: 0, packed: Vec::new() }
    }

    /// Reads the array at hand; gives the number of its elements.
    fn read<E: Element>(&mut self, reader: &mut Reader<'_>) -> Result<usize, Problem> {
        reader.require(b'[', "an array of elements")?;
        reader.enter()?;
        self.reserve(reader, E::SIZE);
        let (mut depth, mut count) = (1, 0);
        // An array may be empty, but after a comma there must be an element.
        let mut may_close = true;
        loop {
            let length = E::read_short(&reader.bytes[reader.offset..], &mut self.packed);
            if length > 0 {
                reader.offset += length;
                count += 1;
                may_close = false;
                continue;
            }
            match reader.bytes.get(reader.offset) {
                // Back to the short ones: many writers put a space after each comma.
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

    /// Makes room for the elements that the shape asks for, or for those that the rest of the body can
    /// hold (each takes a comma and a digit at least): a claim alone takes no memory.
    fn reserve(&mut self, reader: &Reader<'_>, size: usize) {
        let at_most = (reader.bytes.len() - reader.offset) / 2 + 1;
        self.packed.reserve_exact(self.expected.min(at_most) * size);
    }
}

/// A kind of element.
pub(super) trait Element {
    /// Bytes to set aside for one.
    const SIZE: usize;

    /// Reads an element of one digit and the comma that follows, and appends it: most of a picture is `0,`
    /// or `0.0,`. Gives the length, 0 where something else stands there.
    #[inline]
    fn read_short(_text: &[u8], _packed: &mut Vec<u8>) -> usize {
        0
    }

    /// Reads the element that starts at the byte at hand, and appends it.
    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem>;
}

/// Elements that JSON writes as numbers. `$convert` gives `None` for those beyond the datatype.
macro_rules! number_element {
    ($type:ty, $digit:expr, $null:expr, $convert:expr) => {
        impl Element for $type {
            const SIZE: usize = size_of::<Self>();

            #[inline]
            fn read_short(text: &[u8], packed: &mut Vec<u8>) -> usize {
                let nan: Option<Self> = $null;
                let (digit, length) = match text.first_chunk::<4>() {
                    Some([digit @ b'0'..=b'9', b',', ..]) => (digit - b'0', 2),
                    Some([digit @ b'0'..=b'9', b'.', b'0', b',']) if nan.is_some() => (digit - b'0', 4),
                    _ => return 0,
                };
                let digit: Self = $digit(digit);
                packed.extend_from_slice(&digit.to_le_bytes());
                length
            }

            #[inline]
            fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
                let nan: Option<Self> = $null;
                if let Some(nan) = nan
                    && elements.null == Null::Nan
                    && reader.null()
                {
                    elements.packed.extend_from_slice(&nan.to_le_bytes());
                    return Ok(());
                }
                let Some(number) = reader.number_here() else {
                    return Err(reader.not_a_number("a number"));
                };
                let value: Option<Self> = $convert(number);
                let Some(value) = value else {
                    return Err(elements.refused(reader, number, nan.is_none()));
                };
                elements.packed.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
        }
    };
}

macro_rules! integer_element {
    ($($type:ty: $digit:expr),*) => {$(
        number_element!($type, $digit, None, |number: Number<'_>| {
            if number.is_integer() { number.to_i128()?.try_into().ok() } else { None }
        });
    )*};
}

integer_element!(u8: u8::from, u16: u16::from, u32: u32::from, u64: u64::from);
integer_element!(i8: u8::cast_signed, i16: i16::from, i32: i32::from, i64: i64::from);
number_element!(f32, f32::from, Some(f32::NAN), Number::to_f32);
number_element!(f64, f64::from, Some(f64::NAN), Number::to_f64);
number_element!(f16, f16::from, Some(f16::NAN), |number: Number<'_>| {
    // The const conversion rounds once; the other one goes by FP32 where the processor has no better.
    number.to_f64().map(f16::from_f64_const).filter(|value| value.is_finite())
});
number_element!(bf16, bf16::from, Some(bf16::NAN), |number: Number<'_>| {
    number.to_f64().map(bf16::from_f64_const).filter(|value| value.is_finite())
});

impl Elements {
    /// The complaint about a number just read.
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

/// An element of a BYTES tensor.
pub(super) struct Text;

impl Element for Text {
    const SIZE: usize = 4;

    fn read(elements: &mut Elements, reader: &mut Reader<'_>) -> Result<(), Problem> {
        let text = reader.string("a string")?;
        push_bytes_element(&mut elements.packed, text.as_bytes());
        Ok(())
    }
}
