//! Strings: escapes and UTF-8.

use std::borrow::Cow;

use super::reader::Reader;
use crate::Problem;

/// Reads the rest of a string whose opening quote has been read.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Problem> {
    let plain = plain_part(reader)?;
    if reader.bytes[reader.offset] == b'"' {
        reader.offset += 1;
        return Ok(Cow::Borrowed(plain));
    }
    let mut text = String::from(plain);
    loop {
        // The plain part ended in a quote or in an escape.
        reader.offset += 1;
        if reader.bytes[reader.offset - 1] == b'"' {
            return Ok(Cow::Owned(text));
        }
        text.push(escape(reader)?);
        text.push_str(plain_part(reader)?);
    }
}

/// Reads up to a quote or backslash, which is left for the caller.
fn plain_part<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Problem> {
    let start = reader.offset;
    let rest = &reader.bytes[start..];
    let length = plain_length(rest);
    reader.offset = start + length;
    if !matches!(rest.get(length), Some(b'"' | b'\\')) {
        return Err(reader.unexpected("the end of the string (control characters must be escaped)"));
    }
    str::from_utf8(&rest[..length]).map_err(|error| {
        reader.offset = start + error.valid_up_to();
        reader.unexpected("UTF-8")
    })
}

/// How many bytes come before a quote, a backslash or a control character.
fn plain_length(bytes: &[u8]) -> usize {
    // Eight at a time: pictures as text are long.
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let start = words.len() * 8;
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    bytes[start..].iter().position(special).map_or(bytes.len(), |length| start + length)
}

/// Sets the highest bit of the first byte that ends plain text, and no bit before it.
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A byte below the limit borrows from its highest bit, which a byte from 128 up has set itself.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let (quote, backslash) = (word ^ (EACH * u64::from(b'"')), word ^ (EACH * u64::from(b'\\')));
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & (EACH * 0x80)
}

/// Reads an escape whose backslash has been read.
fn escape(reader: &mut Reader<'_>) -> Result<char, Problem> {
    let Some(&byte) = reader.bytes.get(reader.offset) else {
        return Err(reader.unexpected("an escape"));
    };
    let character = match byte {
        b'"' | b'\\' | b'/' => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            reader.offset += 1;
            return unicode_escape(reader);
        }
        _ => return Err(reader.unexpected("an escape")),
    };
    reader.offset += 1;
    Ok(character)
}

/// Reads the four hexadecimal digits after `\u`, and the other half where they are half of a pair.
fn unicode_escape(reader: &mut Reader<'_>) -> Result<char, Problem> {
    let start = reader.offset;
    let first = hex4(reader)?;
    let code = if (0xd800..0xdc00).contains(&first) && reader.bytes[reader.offset..].starts_with(b"\\u") {
        reader.offset += 2;
        let second = hex4(reader)?;
        if !(0xdc00..0xe000).contains(&second) {
            reader.offset = start;
            return Err(reader.unexpected("a pair of surrogates"));
        }
        0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00))
    } else {
        first
    };
    char::from_u32(code).ok_or_else(|| {
        reader.offset = start;
        reader.unexpected("a pair of surrogates")
    })
}

fn hex4(reader: &mut Reader<'_>) -> Result<u32, Problem> {
    let mut code = 0;
    for _ in 0..4 {
        let digit = reader.bytes.get(reader.offset).and_then(|&byte| char::from(byte).to_digit(16));
        let Some(digit) = digit else {
            return Err(reader.unexpected("a hexadecimal digit"));
        };
        code = code << 4 | digit;
        reader.offset += 1;
    }
    Ok(code)
}
