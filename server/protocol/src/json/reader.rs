//! A pull parser: the caller asks for what the protocol allows next, and skips fields that it does not know.

use std::borrow::Cow;

use super::{number::Number, string};
use crate::{Found, Problem};

/// Deepest nesting of arrays and objects that is accepted.
pub const MAX_DEPTH: usize = 64;

/// A position in a JSON text. A copy allows the caller to return to this position later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, depth: 0 }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.offset) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.offset += 1,
                other => return other.copied(),
            }
        }
    }

    /// Consumes `byte` if it is the next byte, after white space.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            return false;
        }
        self.offset += 1;
        true
    }

    pub(super) fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), Problem> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The error about the byte at the current position.
    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> Problem {
        Problem::Unexpected { offset: self.offset, expected, found: self.found() }
    }

    /// The byte at the current position, for an error.
    pub(super) fn found(&self) -> Found {
        self.bytes.get(self.offset).map_or(Found::End, |&byte| Found::Byte(byte))
    }

    /// Enters an array or object. Its opening bracket has already been read.
    pub(super) fn enter(&mut self) -> Result<(), Problem> {
        if self.depth == MAX_DEPTH {
            return Err(Problem::TooDeep { offset: self.offset - 1, limit: MAX_DEPTH });
        }
        self.depth += 1;
        Ok(())
    }

    /// Leaves an array or object. Its closing bracket has already been read.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Reads an object. Calls `field` for each value, with its key in UTF-8; `field` must read the value.
    pub(super) fn object<E: From<Problem>>(
        &mut self,
        expected: &'static str,
        mut field: impl FnMut(&mut Self, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.require(b'{', expected)?;
        self.enter()?;
        if !self.eat(b'}') {
            loop {
                let key = self.key()?;
                field(self, &key)?;
                if !self.eat(b',') {
                    break;
                }
            }
            self.require(b'}', "',' or '}'")?;
        }
        self.leave();
        Ok(())
    }

    /// Reads an array. Calls `element` for each value, with its index; `element` must read the value.
    pub(super) fn array<E: From<Problem>>(
        &mut self,
        expected: &'static str,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.require(b'[', expected)?;
        self.enter()?;
        if !self.eat(b']') {
            for index in 0.. {
                element(self, index)?;
                if !self.eat(b',') {
                    break;
                }
            }
            self.require(b']', "',' or ']'")?;
        }
        self.leave();
        Ok(())
    }

    /// Reads a key and the colon after it.
    fn key(&mut self) -> Result<Cow<'a, [u8]>, Problem> {
        let key = self.utf8("a key in double quotes")?;
        self.require(b':', "':'")?;
        Ok(key)
    }

    pub(super) fn string(&mut self, expected: &'static str) -> Result<Cow<'a, str>, Problem> {
        const CHECKED: &str = "it was read as UTF-8";
        Ok(match self.utf8(expected)? {
            Cow::Borrowed(text) => Cow::Borrowed(str::from_utf8(text).expect(CHECKED)),
            Cow::Owned(text) => Cow::Owned(String::from_utf8(text).expect(CHECKED)),
        })
    }

    /// Reads a string as bytes of valid UTF-8, for callers that only compare or copy it.
    pub(super) fn utf8(&mut self, expected: &'static str) -> Result<Cow<'a, [u8]>, Problem> {
        self.require(b'"', expected)?;
        let (text, end) = string::read(self.bytes, self.offset).map_err(|malformed| {
            self.offset = malformed.offset;
            self.unexpected(malformed.expected)
        })?;
        self.offset = end;
        Ok(text)
    }

    /// Reads a number. `None` if it is negative, not an integer, or too large for `usize`.
    pub(super) fn size(&mut self, expected: &'static str) -> Result<Option<usize>, Problem> {
        self.peek();
        match self.short_size() {
            None => self.long_size(expected),
            size => Ok(size),
        }
    }

    #[inline(never)]
    fn long_size(&mut self, expected: &'static str) -> Result<Option<usize>, Problem> {
        let number = self.number(expected)?;
        Ok(number.to_i128().filter(|_| number.is_integer()).and_then(|size| size.try_into().ok()))
    }

    /// Reads an integer of few digits at the current position, if there is one.
    fn short_size(&mut self) -> Option<usize> {
        let (start, mut end, mut size) = (self.offset, self.offset, 0);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(end)
            && end < start + 8
        {
            size = size * 10 + usize::from(digit - b'0');
            end += 1;
        }
        let is_whole = matches!(self.bytes.get(end), Some(b',' | b']' | b'}'));
        if end == start || !is_whole || (self.bytes[start] == b'0' && end > start + 1) {
            return None;
        }
        self.offset = end;
        Some(size)
    }

    /// Reads a number without computing its value, which [`Number`] does.
    pub(super) fn number(&mut self, expected: &'static str) -> Result<Number<'a>, Problem> {
        self.peek();
        self.number_here().ok_or_else(|| self.not_a_number(expected))
    }

    /// Reads a number that starts at the current position. If there is none, call [`Reader::not_a_number`] for the
    /// error. The error is a separate function so that this one can return its result in registers.
    #[expect(clippy::inline_always, reason = "as a call, it returns through memory and takes thrice as long")]
    #[inline(always)]
    pub(super) fn number_here(&mut self) -> Option<Number<'a>> {
        let (number, end) = Number::scan(self.bytes, self.offset).ok()?;
        self.offset = end;
        Some(number)
    }

    /// The error if there is no number at the current position.
    #[cold]
    pub(super) fn not_a_number(&self, expected: &'static str) -> Problem {
        let offset = Number::scan(self.bytes, self.offset).err().unwrap_or(self.offset);
        let expected = if offset == self.offset { expected } else { "a digit" };
        Self { offset, ..*self }.unexpected(expected)
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, expected: &'static str) -> Result<bool, Problem> {
        match self.peek() {
            Some(b't') => self.literal(b"true", expected).map(|()| true),
            Some(b'f') => self.literal(b"false", expected).map(|()| false),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Consumes `null` if it is next.
    pub(super) fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal(b"null", "").is_ok()
    }

    fn literal(&mut self, literal: &'static [u8], expected: &'static str) -> Result<(), Problem> {
        if !self.bytes[self.offset..].starts_with(literal) {
            return Err(self.unexpected(expected));
        }
        self.offset += literal.len();
        Ok(())
    }

    /// Consumes one of `words` if it is next. Returns its index.
    pub(super) fn one_of(&mut self, words: &[&str]) -> Option<usize> {
        let rest = &self.bytes[self.offset..];
        let index = words.iter().position(|word| rest.starts_with(word.as_bytes()))?;
        self.offset += words[index].len();
        Some(index)
    }

    /// Skips a value of any type, without recursion.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.skip_with(&[])
    }

    /// Skips a value of any type, in which `words` are allowed in place of numbers.
    pub(super) fn skip_with(&mut self, words: &[&str]) -> Result<(), Problem> {
        const VALUE: &str = "a value";
        let floor = self.depth;
        // A stack of one bit per level above the floor, with the innermost level lowest: 1 for an object, 0 for an
        // array.
        let mut objects = 0_u64;
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.offset += 1;
                    self.enter()?;
                    let object = matches!(bracket, b'{');
                    objects = objects << 1 | u64::from(object);
                    if !self.at_close(object) {
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.utf8(VALUE)?),
                Some(b't' | b'f') => drop(self.boolean(VALUE)?),
                Some(b'n') => self.literal(b"null", VALUE)?,
                _ if self.one_of(words).is_some() => {}
                _ => drop(self.number(VALUE)?),
            }
            while self.depth > floor {
                let object = objects & 1 == 1;
                if self.eat(b',') {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                let (close, expected) = if object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
                self.require(close, expected)?;
                self.leave();
                objects >>= 1;
            }
            if self.depth == floor {
                return Ok(());
            }
        }
    }

    fn at_close(&mut self, object: bool) -> bool {
        self.peek() == Some(if object { b'}' } else { b']' })
    }

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end of the JSON")) }
    }
}

/// Sets a field, and returns an error if it is already set.
pub(super) fn once<T>(
    field: &mut Option<T>,
    value: T,
    reader: &Reader<'_>,
    key: &'static str,
) -> Result<(), Problem> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::Duplicate { offset: reader.offset, key }),
    }
}
