//! Strings: escapes and UTF-8.

use std::borrow::Cow;

/// Where a string violates the grammar, and what is expected there.
pub(super) struct Malformed {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

/// Reads the rest of a string, whose opening quote is directly before `start`. Returns its text in UTF-8 and its end.
#[inline]
pub(super) fn read(bytes: &[u8], start: usize) -> Result<(Cow<'_, [u8]>, usize), Malformed> {
    let mut reader = StringReader { bytes, offset: start };
    let plain = reader.plain_part()?;
    if reader.closed() {
        return Ok((Cow::Borrowed(plain), reader.offset));
    }
    let text = reader.with_escapes(plain)?;
    Ok((Cow::Owned(text), reader.offset))
}

struct StringReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> StringReader<'a> {
    fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed { offset: self.offset, expected }
    }

    /// Consumes the closing quote if it is next.
    fn closed(&mut self) -> bool {
        if self.bytes[self.offset] != b'"' {
            return false;
        }
        self.offset += 1;
        true
    }

    /// Reads up to a quote or a backslash, and does not consume it.
    #[inline]
    fn plain_part(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.offset;
        let rest = &self.bytes[start..];
        let Plain { length, ascii } = Plain::of(rest);
        self.offset = start + length;
        if !matches!(rest.get(length), Some(b'"' | b'\\')) {
            return Err(self.malformed("the end of the string (control characters must be escaped)"));
        }
        let plain = &rest[..length];
        if !ascii && let Err(error) = str::from_utf8(plain) {
            return Err(Malformed { offset: start + error.valid_up_to(), expected: "UTF-8" });
        }
        Ok(plain)
    }

    /// Reads from the first backslash to the closing quote. `plain` is the text before the backslash.
    #[inline(never)] // most strings have no escape
    fn with_escapes(&mut self, plain: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut text = plain.to_vec();
        while !self.closed() {
            text.extend_from_slice(self.escape()?.encode_utf8(&mut [0; 4]).as_bytes());
            text.extend_from_slice(self.plain_part()?);
        }
        Ok(text)
    }

    /// Reads an escape sequence. Its backslash is next.
    fn escape(&mut self) -> Result<char, Malformed> {
        self.offset += 1;
        let character = match self.bytes.get(self.offset) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.offset += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.malformed("an escape")),
        };
        self.offset += 1;
        Ok(character)
    }

    /// Reads the four hexadecimal digits after `\u`. If they are the first half of a surrogate pair, reads the second
    /// half too.
    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        let unpaired = self.malformed("a pair of surrogates");
        let first = self.hexadecimal()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if !is_high || !self.bytes[self.offset..].starts_with(b"\\u") {
            return char::from_u32(first).ok_or(unpaired);
        }
        self.offset += 2;
        let second = self.hexadecimal()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(unpaired);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00))).ok_or(unpaired)
    }

    /// Reads four hexadecimal digits.
    fn hexadecimal(&mut self) -> Result<u32, Malformed> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.bytes.get(self.offset).and_then(|&byte| char::from(byte).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.malformed("a hexadecimal digit"))?;
            self.offset += 1;
        }
        Ok(code)
    }
}

/// The text before a quote, a backslash or a control character.
struct Plain {
    /// Length in bytes.
    length: usize,
    /// Whether the text is known to be all ASCII.
    ascii: bool,
}

impl Plain {
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        // Eight bytes at a time, because a picture in base64 is a long string.
        let (words, rest) = bytes.as_chunks::<8>();
        let mut all = 0;
        for (index, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let special = special_bytes(word);
            if special != 0 {
                let before = (special & special.wrapping_neg()) - 1;
                let ascii = (all | word & before) & (EACH * 0x80) == 0;
                return Self { length: index * 8 + special.trailing_zeros() as usize / 8, ascii };
            }
            all |= word;
        }
        let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        let length = rest.iter().position(special).unwrap_or(rest.len());
        Self { length: bytes.len() - rest.len() + length, ascii: false }
    }
}

/// A word with the value 1 in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Sets the highest bit of the first byte that ends plain text, and no bit before it. Bits after it may be wrong.
fn special_bytes(word: u64) -> u64 {
    // Subtracting the limit from a smaller byte sets its highest bit. Bytes from 128 up have that bit set from the
    // start, so they are masked out.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let (quote, backslash) = (word ^ (EACH * u64::from(b'"')), word ^ (EACH * u64::from(b'\\')));
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & (EACH * 0x80)
}
