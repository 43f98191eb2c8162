//! Values as JSON text, appended to a buffer.

use half::{bf16, f16};

use crate::{Datatype, EncodeError, Parameter, Tensor, bytes_elements};

/// Appends a string in quotes.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = text.as_bytes();
    while let Some(length) = plain.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (before, rest) = plain.split_at(length);
        out.extend_from_slice(before);
        write_escape(rest[0], out);
        plain = &rest[1..];
    }
    out.extend_from_slice(plain);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Appends the value of a parameter.
pub(crate) fn write_parameter(value: &Parameter, out: &mut Vec<u8>) {
    match value {
        Parameter::Bool(value) => write_bool(*value, out),
        Parameter::Int64(value) => write_integer(*value, out),
        Parameter::Uint64(value) => write_integer(*value, out),
        Parameter::Double(value) => write_float(*value, value.is_finite(), out),
        Parameter::String(value) => write_string(value, out),
    }
}

/// Appends the elements of a tensor as a flat array. `name` is used in errors.
///
/// A float is written with the fewest digits that give the same value in its datatype. NaN and infinity are written as
/// `null`, because JSON cannot represent them.
pub(crate) fn write_elements(name: &str, tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.push(b'[');
    if tensor.datatype == Datatype::Bytes {
        write_texts(name, &tensor.data, out)?;
    } else {
        write_numbers(tensor.datatype, &tensor.data, out);
    }
    out.push(b']');
    Ok(())
}

/// Appends elements of any datatype but BYTES, with commas between them.
pub(crate) fn write_numbers(datatype: Datatype, data: &[u8], out: &mut Vec<u8>) {
    match datatype {
        Datatype::Bool => list(data, out, |[byte]: [u8; 1], out| write_bool(byte != 0, out)),
        Datatype::Uint8 => list(data, out, |bytes, out| write_integer(u8::from_le_bytes(bytes), out)),
        Datatype::Uint16 => list(data, out, |bytes, out| write_integer(u16::from_le_bytes(bytes), out)),
        Datatype::Uint32 => list(data, out, |bytes, out| write_integer(u32::from_le_bytes(bytes), out)),
        Datatype::Uint64 => list(data, out, |bytes, out| write_integer(u64::from_le_bytes(bytes), out)),
        Datatype::Int8 => list(data, out, |bytes, out| write_integer(i8::from_le_bytes(bytes), out)),
        Datatype::Int16 => list(data, out, |bytes, out| write_integer(i16::from_le_bytes(bytes), out)),
        Datatype::Int32 => list(data, out, |bytes, out| write_integer(i32::from_le_bytes(bytes), out)),
        Datatype::Int64 => list(data, out, |bytes, out| write_integer(i64::from_le_bytes(bytes), out)),
        Datatype::Fp16 => list(data, out, |bytes, out| write_fp32(f16::from_le_bytes(bytes).to_f32(), out)),
        Datatype::Bf16 => list(data, out, |bytes, out| write_fp32(bf16::from_le_bytes(bytes).to_f32(), out)),
        Datatype::Fp32 => list(data, out, |bytes, out| write_fp32(f32::from_le_bytes(bytes), out)),
        Datatype::Fp64 => list(data, out, |bytes, out| {
            let value = f64::from_le_bytes(bytes);
            write_float(value, value.is_finite(), out);
        }),
        Datatype::Bytes => {}
    }
}

/// Appends elements of `N` bytes each, with commas between them.
fn list<const N: usize>(data: &[u8], out: &mut Vec<u8>, write: impl Fn([u8; N], &mut Vec<u8>)) {
    let (elements, _) = data.as_chunks::<N>();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(*element, out);
    }
}

fn write_texts(name: &str, data: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (index, element) in bytes_elements(data).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let text = str::from_utf8(element).map_err(|_| EncodeError::NotUtf8 { name: name.into(), index })?;
        write_string(text, out);
    }
    Ok(())
}

fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_fp32(value: f32, out: &mut Vec<u8>) {
    write_float(value, value.is_finite(), out);
}

fn write_float(value: impl zmij::Float, is_finite: bool, out: &mut Vec<u8>) {
    if is_finite {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}
